"""A guest, and a master that is not like ours."""

from __future__ import annotations

import pytest

from rexec.cli.guest import Guest
from rexec.client.sharing import pair


@pytest.mark.parametrize(
    "result",
    [
        (b"ok", b"x", b"", b"0", b"", b""),
        (b"\xff", b"0", b"", b"0", b"", b""),
        (b"ok", b"0", b"\xff", b"0", b"", b""),
    ],
)
def test_a_result_that_is_not_understood_is_a_loss(result: tuple[bytes, ...]) -> None:
    line, master = pair()
    guest = Guest(line, [], None, print)
    master.say(b"taken")
    master.say(b"result", *result)
    assert guest._hear() == (None, False)
    end, is_over = guest._hear()
    assert is_over
    assert end is not None
    assert (end.state, end.code, end.error) == ("lost", 255, "the master says what is not understood")
    for one in (line, master):
        one.close()
