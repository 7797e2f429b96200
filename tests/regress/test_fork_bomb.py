"""A fork bomb within the limits of its rule ends with its command, to the last process."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.regress.conftest import Host

RULES = """\
python3 ...
    as games
    limit procs=150
    timeout 3s
true
"""
BOMB = """\
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        if not os.fork():
            os.setsid()
    except OSError:
        pass
"""


def processes_of_user(uid: int) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if place.stat().st_uid == uid and b"\nState:\tZ" not in (place / "status").read_bytes():
                found.append(place.name)
        except OSError:
            pass
    return found


@pytest.mark.system
def test_nothing_is_left_of_a_fork_bomb(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "Fork bomb, double fork and setsid to escape the group"."""
    uid = pwd.getpwnam("games").pw_uid
    assert not processes_of_user(uid)
    host = make_host(RULES).start()
    found = host.object("python3", "-c", BOMB)
    assert found["state"] == "timeout"
    assert not processes_of_user(uid)
    assert host.run("true").returncode == 0
    assert host.count("rexec-server: stays ") == 0
