"""The files of this project, for the tests that read them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rexec"
MADE = {".git", ".venv", ".demo", "build", "dist", "__pycache__", "keys"}


@cache
def project_files() -> tuple[Path, ...]:
    """Return all that is committed or could be; without git, all that was not made here."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    paths = (
        [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]
        if listing.returncode == 0
        else [path for path in ROOT.rglob("*") if not MADE & set(path.relative_to(ROOT).parts)]
    )
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
