"""Programs that call a remote shell, unchanged, with rexec-ssh in its place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.regress.conftest import BIN, Host

REXEC_SSH = str(BIN / "rexec-ssh")
TIMEOUT = 110  # seconds for one program


class Far(Host):
    """A server for one program, and the places that its rules speak of."""

    def __init__(self, folder: Path, rules: str) -> None:
        folder.mkdir()
        self.tree = folder / "tree"  # what the rules are about
        self.outside = folder / "outside"  # and what they are not
        self.near = folder / "near"  # of the client
        for made in (self.tree, self.outside, self.near):
            made.mkdir()
        (self.outside / "secret").write_text("nobody may read this\n")
        super().__init__(folder, rules.format(tree=self.tree, outside=self.outside))

    @property
    def shell(self) -> str:
        """The words that a program calls its remote shell by."""
        return f"{REXEC_SSH} -p {self.port}"

    def call(
        self,
        *words: str | Path,
        env: dict[str, str] | None = None,
        input: bytes = b"",
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the client's side to its end."""
        return subprocess.run(
            [os.fspath(word) for word in words],
            input=input,
            capture_output=True,
            env=self.environment(**(env or {})),
            cwd=cwd or self.near,
            timeout=TIMEOUT,
            check=False,
        )

    def works(self, *words: str | Path, **more: object) -> bytes:
        """Run a program that must succeed; return what it wrote."""
        done = self.call(*words, **more)  # type: ignore[arg-type]
        assert done.returncode == 0, (
            f"{words}: {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}"
        )
        return done.stdout

    def fails(self, *words: str | Path, **more: object) -> str:
        """Run a program that must not succeed; return what it said."""
        done = self.call(*words, **more)  # type: ignore[arg-type]
        text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert done.returncode != 0, text
        assert "Traceback" not in text
        return text

    def starts_not(self, *words: str | bytes) -> str:
        """Ask for a command by exact words, as whoever writes a client would; it must be denied."""
        done = self.run(*words)
        assert done.returncode == 126, done
        return done.stderr.decode()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Callable[[str], Far]]:
    """Start a server with these rules, in which {tree} and {outside} are directories."""
    made: list[Far] = []

    def start(rules: str) -> Far:
        made.append(Far(tmp_path / f"far{len(made)}", rules))
        made[-1].start()
        return made[-1]

    yield start
    for host in made:
        host.end()


def same_trees(one: Path, other: Path) -> bool:
    """Whether two trees hold the same names, modes, links and bytes."""
    return listing(one) == listing(other)


def listing(top: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(top.rglob("*")):
        stat = path.lstat()
        if path.is_symlink():
            content = os.fsencode(os.readlink(path))
        else:
            content = b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(top))] = (stat.st_mode, content)
    return found


def odd_tree(top: Path) -> None:
    """Fill a directory with names that a shell, or a program's own syntax, would trip over."""
    names = [
        "plain",
        "two words",
        "it's",
        "$(id)",
        "`id`",
        "a;b&c|d>e",
        "new\nline",
        "*",
        "-rf",
        "ümläut",
        "a:b",
        "~x",
    ]
    for number, name in enumerate(names):
        (top / name).write_text(f"{number} {name}\n")
    (top / "deep" / "er").mkdir(parents=True)
    (top / "deep" / "er" / "empty").touch()
    (top / "deep" / "mode").write_text("x")
    (top / "deep" / "mode").chmod(0o640)
    (top / "link").symlink_to("two words")
    (top / "large").write_bytes(os.urandom(3 << 20))
