"""Bulk through one command, out and in, with TLS and in the clear: MiB a second.

A whole process moves the bytes; what the same process takes for none of them is taken off.
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from bench.field import BARE, HERE, REXEC, SOCAT
from bench.figures import Row, Target
from bench.turns import Contest, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.field import Field

MIB = 1 << 20
GCM = "-caes128-gcm@openssh.com"
PIPE = "local pipe"


def bulk(field: Field, rounds: int, mib: int) -> Iterator[Row]:
    """What a far program writes, and what it reads."""
    _, address = field.rexec_server()
    ours = [REXEC, address]
    _, plain = field.rexec_server(tls=False)
    in_clear = [REXEC, "--no-tls", plain]
    for tls, client in ((True, ours), (False, in_clear)):
        for down in (True, False):
            yield _contest(field, rounds, mib, client, tls=tls, down=down)


def _contest(field: Field, rounds: int, mib: int, client: list[str], *, tls: bool, down: bool) -> Row:
    source = field.folder / "zeros"
    with open(source, "wb") as zeros:
        zeros.truncate(mib * MIB)

    def far(words: Callable[[int], list[str]]) -> Run:
        return lambda: _speed(words, source, mib, down=down)

    def head(count: int) -> str:
        return f"head -c {count} /dev/zero"

    def by_socat() -> Run:
        service = f"EXEC:{head(mib * MIB)}" if down else "OPEN:/dev/null,wronly"
        address = field.socat(service, tls=tls, down=down)
        words = [*SOCAT, "-u", *((address, "STDOUT") if down else ("STDIN", address))]
        return lambda: _speed(lambda count: words if count else ["true"], source, mib, down=down)

    def by_bare() -> Run:
        calls = {
            count: field.bare(head(count).split() if down else ["sh", "-c", drain], tls=tls)
            for count in (0, mib * MIB)
        }
        return far(lambda count: calls[count])

    def by_pipe(count: int) -> list[str]:
        return ["sh", "-c", f"{head(count)} | cat" if down else "cat | cat"]

    way = "stdout" if down else "stdin"
    targets = [Target(least=1.4, of="ssh, aes128-gcm")] if tls else [Target(least=0.9, of=PIPE)]
    drain = "cat >/dev/null"
    contest = Contest(f"bulk {way}, {'TLS' if tls else 'in the clear'}", "MiB/s", *targets)
    contest.enter(
        "rexec", lambda: far(lambda count: [*client, *(head(count).split() if down else ("sh", "-c", drain))])
    )
    if tls:
        ssh = field.sshd()[1]
        contest.enter(
            "ssh, aes128-gcm",
            lambda: far(lambda count: [*ssh, GCM, HERE, head(count) if down else drain]),
        )
    else:
        contest.enter(PIPE, lambda: far(by_pipe))
    contest.enter("socat", by_socat)
    contest.enter(BARE, by_bare)
    contest.hold(rounds)
    return contest.row()


def _speed(words: Callable[[int], list[str]], source: os.PathLike[str], mib: int, *, down: bool) -> float:
    """Move so many MiB; return how many a second."""
    took = []
    for count in (0, mib * MIB):
        with open(os.devnull if down or not count else source, "rb") as given:
            begun = time.perf_counter()
            subprocess.run(words(count), check=True, stdin=given, stdout=subprocess.DEVNULL)
            took.append(time.perf_counter() - begun)
    return mib / (took[1] - took[0])
