"""A server with rules for copies, and `rexec-cp` as a process: what the tests of copies are made of."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

from tests.regress.conftest import BIN, PATIENCE, Host

COPY = str(BIN / "rexec-cp")
RULES = """\
@get {{path:{0}/out/** ro}}
@put {{path:{0}/in/** rw}}
@put {{path:{0}/new/** new}}
@put {{path:{0}/one/report rw}}
@get {{path:{0}/only/* ro}}
"""
_numbers = itertools.count()


class Rooms:
    """Directories of one test on both sides: `out`, `in` and `new` at the server, `here` for the client."""

    def __init__(self, host: Host) -> None:
        self.host = host
        name = f"t{next(_numbers)}"
        self.out, self.into, self.new, self.here = (
            host.folder / side / name for side in ("out", "in", "new", "here")
        )
        for folder in (self.out, self.into, self.new, self.here):
            folder.mkdir(parents=True)

    def at(self, path: Path | str) -> str:
        """A path at the server, as `rexec-cp` takes it."""
        return f"127.0.0.1:{path}"

    def words(self, *words: str | Path) -> list[str]:
        return [COPY, "-P", str(self.host.port), *map(str, words)]

    def copy(
        self, *words: str | Path, code: int = 0, input: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Copy in `here`, with the exit code that is expected."""
        done = subprocess.run(
            self.words(*words),
            input=input,
            capture_output=True,
            env=self.host.environment(),
            cwd=self.here,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done
        return done

    def popen(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start a copy in `here`."""
        return subprocess.Popen(
            self.words(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.host.environment(),
            cwd=self.here,
        )


def parts(folder: Path) -> list[Path]:
    """What interrupted copies left in a directory."""
    return sorted(folder.glob(".*.rexec-??????"))
