"""`bin/`: how the clients start, wherever they were installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from rexec import __version__
from tests.tree import ROOT, text_of

BIN = Path(sys.executable).parent
PACKAGES = Path(sysconfig.get_path("purelib"))
VERSION = f"rexec {__version__}\n"


def run(program: Path | str, **more: str | Path) -> str:
    """Return what `--version` prints."""
    words = [str(program), "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return str(done.stdout)


def place(tmp_path: Path, interpreter: str, *, is_venv: bool = True) -> Path:
    """Return an installation in a directory whose name is awkward, with one package that is ours."""
    folder = tmp_path / "a 'b' $c"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "bin" / "rexec", folder / "bin")
    if is_venv:
        (folder / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
        shutil.copy(PACKAGES.parents[2] / "pyvenv.cfg", folder)
        (folder / PACKAGES.relative_to(sys.prefix)).mkdir(parents=True)
    (folder / "bin" / "rexec-keygen").write_text(interpreter)
    return folder


@pytest.mark.parametrize(("name", "module"), [("rexec-ssh", "ssh"), ("rexec-cp", "copy")])
def test_all_are_the_same_but_for_what_they_run(name: str, module: str) -> None:
    first, second = (text_of(ROOT / "bin" / one).splitlines() for one in ("rexec", name))
    differing = [lines for lines in zip(first, second, strict=True) if lines[0] != lines[1]]
    assert differing == [("from rexec.cli.main import main", f"from rexec.cli.{module} import main")]


def test_what_is_installed_is_what_stands_here() -> None:
    for name in ("rexec", "rexec-ssh", "rexec-cp"):
        assert text_of(BIN / name) == text_of(ROOT / "bin" / name), "pip install -e . again"


def test_nobody_brings_code_in_by_the_environment(tmp_path: Path) -> None:
    """security.md, Environment and inheritance: "PYTHONPATH"."""
    (tmp_path / "rexec").mkdir()
    for name in ("rexec/__init__.py", "sitecustomize.py", "os.py"):
        (tmp_path / name).write_text("raise SystemExit('from elsewhere')\n")
    environ = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path), "PATH": os.environ["PATH"]}
    environ |= {"PYTHONEXECUTABLE": f"{tmp_path}/bin/python", "__PYVENV_LAUNCHER__": f"{tmp_path}/bin/python"}
    assert run(BIN / "rexec", env=environ) == VERSION  # type: ignore[arg-type]


def test_a_link_leads_to_it(tmp_path: Path) -> None:
    """As `pipx` makes them; and one that leads to another, by a relative way."""
    (tmp_path / "rexec").symlink_to(BIN / "rexec")
    (tmp_path / "r").symlink_to("rexec")
    assert run(tmp_path / "r") == VERSION
    assert run("r", cwd=tmp_path, executable=tmp_path / "r") == VERSION
    assert run(tmp_path / "r", env={"PATH": str(tmp_path)}) == VERSION  # type: ignore[arg-type]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_directory_may_be_a_link_too(tmp_path: Path, slash: str) -> None:
    (tmp_path / "programs").symlink_to(BIN)
    assert run("rexec", env={"PATH": f"{tmp_path}/programs{slash}:{os.environ['PATH']}"}) == VERSION  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["rexec", "./rexec", "../bin/rexec"])
def test_blanks_and_quotes_in_its_path_are_as_good_as_any_letter(tmp_path: Path, by: str) -> None:
    folder = place(tmp_path, "")
    (folder / PACKAGES.relative_to(sys.prefix) / "rexec").symlink_to(ROOT / "rexec")
    done = subprocess.run(
        ["sh", by, "--version"], cwd=folder / "bin", capture_output=True, text=True, check=True
    )
    assert done.stdout == VERSION


def test_what_only_a_pth_file_knows_is_found(tmp_path: Path) -> None:
    folder = place(tmp_path, "")
    (folder / PACKAGES.relative_to(sys.prefix) / "far.pth").write_text(f"{ROOT}\n")
    assert run(folder / "bin" / "rexec") == VERSION


def test_what_is_in_no_place_of_ours_is_sought_as_ever() -> None:
    code = f"import sys; sys.path.append({str(ROOT)!r}); from rexec.cli import begin; begin(); import click"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


@pytest.mark.parametrize(
    "opening",
    [
        "#!{python}\nimport re\n",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\nimport re\n",  # for a path with blanks
    ],
    ids=["a path", "a line of sh"],
)
def test_outside_a_virtual_environment_it_runs_by_what_pip_wrote_beside_it(
    tmp_path: Path, opening: str
) -> None:
    folder = place(tmp_path, opening.format(python=sys.executable), is_venv=False)
    assert run(folder / "bin" / "rexec") == VERSION
