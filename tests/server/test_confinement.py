"""Who the listener may become, and what it gives up."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from rexec.errors import UsageError
from rexec.server import confinement

OWN = pwd.getpwuid(os.getuid()).pw_name


def test_without_a_name_it_stays_who_it_is() -> None:
    assert confinement.account_of(None) is None


@pytest.mark.parametrize("name", ["0", "65534", "no-such-user", "", "no\nsuch", "\x1b[2J", "root"])
def test_what_is_nobody_it_could_become_is_refused(name: str) -> None:
    """allow-list.md, Run as: no numbers; security.md: "uid -1 (CVE-2019-14287)"."""
    with pytest.raises(UsageError, match="--user") as refused:
        confinement.account_of(name)
    assert str(refused.value).isprintable()


CONFINED = """
import os, resource
from rexec.audit.log import Log
from rexec.server import confinement
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
status = os.open("/proc/self/status", os.O_RDONLY)
confinement.load_all()
confinement.confine(None, Log())
found = dict(line.split(":\\t", 1) for line in os.read(status, 65536).decode().splitlines() if ":\\t" in line)
print(*(found[name].strip() for name in ("NoNewPrivs", "Seccomp", "CapEff", "CapPrm")))
"""


def test_it_gives_up_what_it_does_not_need_and_says_so() -> None:
    """Promise: "where the kernel has it, fences itself with Landlock and seccomp"."""
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, check=True)
    assert done.stdout == "1 2 0000000000000000 0000000000000000\n"
    assert done.stderr == "rexec-server: fence user=- landlock=yes seccomp=yes\n"
