"""`import rexec`: every name is there, none is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rexec
from rexec import errors
from tests.tree import ROOT


@pytest.mark.parametrize("name", rexec.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(rexec, name) is not None
    assert name in dir(rexec)


def test_every_error_is_a_name() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree <= set(rexec.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rexec' has no attribute 'run'"):
        rexec.run  # type: ignore[attr-defined]  # noqa: B018


def test_the_blocking_api_takes_no_event_loop() -> None:
    code = "import sys, rexec; rexec.connect; assert 'asyncio' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
