"""The words between a master and its guests."""

from __future__ import annotations

import pytest

from rexec.client.sharing import pair


def test_what_a_master_said_last_is_heard_though_it_left_a_word_unread() -> None:
    """As where a terminal changes its size, or Ctrl-C comes, while a command ends."""
    guest, master = pair()
    master.say(b"taken")
    master.say(b"result", b"ok", b"0")
    guest.say(b"resize", b"80", b"24")
    master.close()
    assert [guest.hear()[0] for _ in range(3)] == [[b"taken"], [b"result", b"ok", b"0"], []]
    guest.close()


@pytest.mark.parametrize("said", [b"SSH-2.0-x", b"5:abc", b":", b"-1:a", b"9" * 5000 + b":x"])
def test_what_is_no_word_of_ours_is_an_end(said: bytes) -> None:
    guest, master = pair()
    master.socket.send(said)
    assert guest.hear() == ([], [])
    for line in (guest, master):
        line.close()
