"""The exit code of `rexec` is the command's own, all of it."""

from __future__ import annotations

import pytest

from tests.regress.conftest import Host
from tests.regress.forked import Done, forked


def test_every_exit_code_arrives(shared_host: Host) -> None:
    """0 to 255, each as it is."""
    lines = [[shared_host.address, "sh", "-c", f"exit {code}"] for code in range(256)]
    assert forked(lines, shared_host.environment()) == [Done(code, b"", b"") for code in range(256)]


@pytest.mark.parametrize("code", [0, 1, 2, 77, 126, 127, 128, 143, 254, 255])
def test_so_it_does_from_a_client_that_was_not_forked(shared_host: Host, code: int) -> None:
    """The control of the test above."""
    assert shared_host.run("sh", "-c", f"exit {code}").returncode == code
