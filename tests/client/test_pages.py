"""The pages about the Python API: what they show runs, and what they name is there."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rexec
from rexec.limits import CHANNELS_PER_SESSION, CONNECT_TIMEOUT, DEFAULT_PORT
from tests.regress.conftest import PATIENCE, Host
from tests.tree import ROOT, text_of

REFERENCE = ROOT / "docs" / "reference" / "python.md"
HOWTO = ROOT / "docs" / "howto" / "python.md"
PAGES = (REFERENCE, HOWTO)
BLOCKS = [
    pytest.param(block, id=f"{page.parent.name} {number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", text_of(page), re.M | re.S))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_runs(shared_host: Host, tmp_path: Path, block: str) -> None:
    aliases = "".join(f'[hosts.{name}]\naddress = "{shared_host.address}"\n' for name in ("web1", "web2"))
    (shared_host.home / "config.toml").write_text(aliases)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        env={**shared_host.environment(), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    (shared_host.home / "config.toml").unlink()
    assert run.returncode == 0, run.stdout.decode()
    assert b"Traceback" not in run.stdout
    assert run.stdout


@pytest.mark.parametrize(
    "function",
    [rexec.connect, rexec.Host.run, rexec.Host.popen],
    ids=["connect", "run", "popen"],
)
def test_the_reference_has_every_argument(function: Callable[..., object]) -> None:
    page = " ".join(text_of(REFERENCE).split())
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    words = [p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters]
    words.insert(1, "*")
    assert f"{function.__name__}({', '.join(words)})" in page


@pytest.mark.parametrize("name", ["run", "popen", "list", "explain"])
def test_both_hosts_take_the_same(name: str) -> None:
    blocking = inspect.signature(getattr(rexec.Host, name))
    other = inspect.signature(getattr(rexec.AsyncHost, name))
    assert blocking.parameters == other.parameters
    connecting = inspect.signature(rexec.connect).parameters
    assert connecting == inspect.signature(rexec.connect_async).parameters


def test_the_reference_names_every_key_and_every_name() -> None:
    page = text_of(REFERENCE)
    for name in (*rexec.Result.__slots__, *rexec.__all__):
        assert f"`{name}" in page or f"`rexec.{name}" in page or name == "__version__", name
    assert f"| {DEFAULT_PORT} |" in page
    assert f"| {CONNECT_TIMEOUT:.0f} |" in page
    assert f"at most {CHANNELS_PER_SESSION:,} commands" in page
