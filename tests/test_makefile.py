"""`make` and `.ci/run` in a directory of their own, with a Python that is not as it should be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tree import ROOT

OLD = 'case "$*" in *version_info*) exit 1;; esac'
NO_VENV = 'case "$*" in *ensurepip*) echo "No module named ensurepip" >&2; exit 1;; esac'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    return tmp_path


def program(path: Path, body: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def run(clone: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        words,
        cwd=clone,
        env=outer | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", ["venv", "demo", "test", "check"])
def test_a_missing_python3_venv_gets_one_line_that_names_the_package(clone: Path, target: str) -> None:
    python = program(clone / "bin/python3", NO_VENV)
    made = run(clone, "make", target, f"PYTHON={python}")
    assert made.returncode != 0
    assert made.stdout == ""
    assert len(made.stderr.splitlines()) == 1
    assert "apt install python3-venv" in made.stderr
    assert not (clone / ".venv").exists()


def test_an_old_python_gets_one_line(clone: Path) -> None:
    made = run(clone, "make", "test", f"PYTHON={program(clone / 'bin/python3', OLD)}")
    assert made.returncode != 0
    assert made.stdout == ""
    assert len(made.stderr.splitlines()) == 1
    assert "older than 3.11" in made.stderr


def test_no_python_gets_one_line(clone: Path) -> None:
    made = run(clone, "make", "test", "PYTHON=no-such-python")
    assert made.returncode != 0
    assert len(made.stderr.splitlines()) == 1
    assert "no no-such-python" in made.stderr


def test_make_alone_lists_its_targets(clone: Path) -> None:
    made = run(clone, "make")
    assert made.returncode == 0
    for target in (
        "venv",
        "demo",
        "demo-stop",
        "test",
        "test-system",
        "fuzz",
        "soak",
        "bench",
        "bench-quick",
        "check",
        "format",
        "clean",
    ):
        assert f"make {target} " in made.stdout


def ci(clone: Path, report: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/run with an installation that is there already and a pytest that reports `report`."""
    for name in ("python", "ruff", "mypy"):
        program(clone / ".venv/bin" / name, "exit 0")
    program(clone / ".venv/bin/pytest", f'echo "$*"; echo "{report}"')
    program(clone / "bin/id", "echo 1000")
    os.utime(clone / "pyproject.toml", (0, 0))
    for stamp in (".stamp-base", ".stamp-dev"):
        (clone / ".venv" / stamp).touch()
    return run(
        clone, ".ci/run", PATH=f"{clone / 'bin'}:{os.environ['PATH']}", CI="true", HOME=str(clone / "empty")
    )


def test_ci_is_green_when_checks_and_tests_are(clone: Path) -> None:
    done = ci(clone, "3 passed in 0.1s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ci: all good\n")
    assert "-m not system" in done.stdout


@pytest.mark.parametrize("report", ["no tests ran in 0.1s", "3 skipped in 0.1s", "0 passed", "3 deselected"])
def test_ci_is_red_when_no_test_was_run(clone: Path, report: str) -> None:
    done = ci(clone, report)
    assert done.returncode == 1
    assert "ci: make test ran no test" in done.stderr
