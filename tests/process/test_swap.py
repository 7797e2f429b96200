"""Names that change what they mean while they are used: another process exchanges them without a pause."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.process.child import NotStarted
from tests.process.launching import attempt, run

PYTHON = os.path.realpath(sys.executable)
BETWEEN = 50  # exchanges between two looks at whether to stop

EXCHANGE = """
import ctypes, os, sys
one, other, stop, done, least = (os.fsencode(word) for word in sys.argv[1:])
exchange = ctypes.CDLL(None, use_errno=True).renameat2
count = 0
while count < int(least) or not os.path.exists(stop):
    for _ in range(50):
        if exchange(-100, one, -100, other, 2): sys.exit(os.strerror(ctypes.get_errno()))
    count += 50
    if count == 50: print("begun", flush=True)
    if count >= int(least) and not os.path.exists(done): open(done, "x").close()
print(count)
"""

READ = """
import collections, os, sys
path, done = sys.argv[1:]
seen = collections.Counter()
while not os.path.exists(done) or len(seen) < 2:
    try:
        with open(path) as file: seen[file.read()] += 1
    except PermissionError: seen["refused"] += 1
print(sorted(seen))
"""


class Swapper:
    """Two names that another process exchanges, at least so often, until it is told to stop."""

    def __init__(self, one: Path, other: Path, folder: Path, least: int) -> None:
        self.done, self._stop = folder / "done", folder / "stop"
        words = map(str, (one, other, self._stop, self.done, least))
        self._process = subprocess.Popen(
            [PYTHON, "-I", "-c", EXCHANGE, *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"

    def swaps(self) -> int:
        """Stop, and return how often the names were exchanged."""
        self._stop.touch()
        return int(self._process.communicate(timeout=100)[0])


Swap = Callable[[Path, Path, int], Swapper]


@pytest.fixture
def swap(tmp_path: Path) -> Iterator[Swap]:
    made: list[Swapper] = []

    def begin(one: Path, other: Path, least: int) -> Swapper:
        made.append(Swapper(one, other, tmp_path, least))
        return made[-1]

    yield begin
    for swapper in made:
        if swapper._process.poll() is None:
            swapper._process.kill()
            swapper._process.communicate()


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A root with a public file and directory, each beside a link to its secret counterpart."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for place, word in ((root / "dir", "public"), (outside, "secret")):
        place.mkdir(parents=True)
        (place / "file").write_text(word)
    (root / "file").write_text("public")
    (root / "link").symlink_to(outside / "file")
    (root / "dirlink").symlink_to(outside)
    return root, outside


NAMES = (("file", "link", "file"), ("dir", "dirlink", "dir/file"))


def what_is_read(swap: Swap, root: Path, names: tuple[str, str, str], least: int, options: str) -> str:
    one, other, path = names
    swapper = swap(root / one, root / other, least)
    found = run(f"{PYTHON} ...\n{options}", PYTHON, "-I", "-c", READ, str(root / path), str(swapper.done))
    assert swapper.swaps() >= least
    assert found.status == 0, found
    return found.out


@pytest.mark.parametrize("names", NAMES)
def test_a_hundred_thousand_swaps_leak_nothing(
    swap: Swap, places: tuple[Path, Path], names: tuple[str, str, str]
) -> None:
    """security.md, Around the allow list: "Links that leave a root; a link swapped between check and use
    (CVE-2026-53783 in rrsync)"."""
    options = f"    confine ro {places[0]} {sys.base_prefix}\n"
    assert what_is_read(swap, places[0], names, 100_000, options) == "['public', 'refused']\n"


def test_without_a_fence_a_swapped_link_leaks(swap: Swap, places: tuple[Path, Path]) -> None:
    """What the tests above would see if the fence did not hold."""
    assert what_is_read(swap, places[0], NAMES[0], 2_000, "    nice 1\n") == "['public', 'secret']\n"


def test_a_swapped_program_is_never_started(swap: Swap, tmp_path: Path) -> None:
    """security.md, Around the allow list: "a program swapped between digest and start"."""
    program, other = tmp_path / "program", tmp_path / "other"
    shutil.copy("/bin/echo", program)
    other.write_text(f"#!/bin/sh\necho > {tmp_path}/mark\n")
    other.chmod(0o755)
    rules = f"{program} ...\n    sha256 {hashlib.sha256(program.read_bytes()).hexdigest()}\n"
    swapper = swap(program, other, BETWEEN)
    refused = NotStarted(126, f"{program} is not the program with this sha256")
    for _ in range(40):
        found = attempt(rules, str(program), "right")
        assert found == refused or getattr(found, "out", "") == "right\n"
    swapper.swaps()
    assert not (tmp_path / "mark").exists()


def test_a_swapped_directory_is_the_one_that_was_looked_at(swap: Swap, places: tuple[Path, Path]) -> None:
    """security.md, Around the allow list: "a link swapped between check and use"."""
    root, outside = places
    swapper = swap(root / "dir", root / "dirlink", BETWEEN)
    rules = f"pwd\n    cwd ask {root}/**\n    nice 1\n"
    for _ in range(40):
        found = attempt(rules, "pwd", cwd=f"{root}/dir")
        if isinstance(found, NotStarted):
            assert "leads out of" in found.message
        else:  # what was entered stays what it is, whatever its name is by now
            assert found.out in (f"{root}/dir\n", f"{root}/dirlink\n")
    swapper.swaps()
    assert outside.is_dir()
