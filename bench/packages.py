"""The peers, installed: `python -m bench.packages` gets what Debian has of them, and starts none of it.

What cannot be had is no failure: the table says who is absent.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = (
    *("openssh-client", "openssh-server", "dropbear-bin", "nagios-nrpe-server", "nagios-nrpe-plugin"),
    *("socat", "openssl", "iproute2"),
)
POLICY = Path("/usr/sbin/policy-rc.d")  # invoke-rc.d(8): 101 forbids what a package wants to start


def missing() -> list[str]:
    """Name the packages that are not installed."""
    words = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES]
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    have = {line.split()[0] for line in found.splitlines() if line.endswith(" installed")}
    return [name for name in PACKAGES if name not in have]


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Keep packages from starting their servers, which would stay."""
    try:
        POLICY.touch(0o755, exist_ok=False)
    except FileExistsError:
        yield  # somebody has decided that already
        return
    try:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        yield
    finally:
        POLICY.unlink()


def install(names: list[str]) -> None:
    """Install packages; say what went wrong, and leave it at that."""
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with nothing_starts():
        for words in (["update"], ["install", "-y", "--no-install-recommends", *names]):
            done = subprocess.run(
                ["apt-get", "-qq", *words], env=environ, stdout=subprocess.DEVNULL, check=False
            )
            if done.returncode:
                print(f"bench: apt-get {words[0]} failed: peers will be absent", file=sys.stderr)
                return


def main() -> None:
    if shutil.which("apt-get") is None:
        print("bench: no apt-get here: peers that are not installed are absent", file=sys.stderr)
    elif names := missing():
        if os.geteuid():
            print(f"bench: not root: without {' '.join(names)}", file=sys.stderr)
        else:
            install(names)


if __name__ == "__main__":
    main()
