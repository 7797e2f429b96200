"""What a server may do is not for what it starts."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess

import pytest

from rexec.process.capabilities import bequeath_none
from rexec.server.runner import settle
from tests.process.alone import alone

NOBODY = 65534
KEEP_CAPABILITIES = 8  # PR_SET_KEEPCAPS
AMBIENT, RAISE = 47, 2  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE
BIND_SERVICE = 10  # CAP_NET_BIND_SERVICE
CAPABLE = "0000000000000400"
NONE = "0" * 16
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def become_capable() -> None:
    """Be as a service that is not root and was started with AmbientCapabilities=CAP_NET_BIND_SERVICE."""
    library = ctypes.CDLL(None, use_errno=True)
    assert not library.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    bit = 1 << BIND_SERVICE
    assert not library.capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", bit, bit, bit, 0, 0, 0))
    assert not library.prctl(AMBIENT, RAISE, BIND_SERVICE, 0, 0)


def of_a_child() -> list[str]:
    """The capabilities of a program that is started from here."""
    status = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    found = dict(line.split(":\t", 1) for line in status.stdout.splitlines() if ":\t" in line)
    return [found[name] for name in SETS]


@pytest.mark.system
@pytest.mark.parametrize("give_up", [bequeath_none, settle])
def test_what_the_server_may_do_does_not_reach_its_commands(give_up: object) -> None:
    """security.md, Environment and inheritance: what is the server's own does not reach a child."""

    def test() -> None:
        become_capable()
        assert of_a_child() == [CAPABLE] * 4
        give_up()  # type: ignore[operator]
        assert of_a_child() == [NONE] * 4
        with open("/proc/self/status") as file:
            own = dict(line.rstrip().split(":\t", 1) for line in file if line.startswith("Cap"))
        assert [own[name] for name in SETS] == [NONE, CAPABLE, CAPABLE, NONE]

    alone(test)


def test_who_has_none_goes_on() -> None:
    alone(bequeath_none)
