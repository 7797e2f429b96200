"""System calls by number."""

from __future__ import annotations

import os

import pytest

from rexec.process import abi
from rexec.process.abi import native, process_control, system_call


def test_a_machine_that_is_not_in_the_table_has_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Uname:
        machine = "riscv64"

    native.cache_clear()
    monkeypatch.setattr(os, "uname", Uname)
    try:
        assert native() is None
        native.cache_clear()
        Uname.machine = "aarch64"
        assert native() is abi._ABIS["aarch64"]
        native.cache_clear()
        monkeypatch.setattr(os, "sysconf", lambda name: 32)  # a 32-bit Python on a 64-bit kernel
        assert native() is None
    finally:
        native.cache_clear()


def test_errors_are_those_of_the_system() -> None:
    with pytest.raises(OSError, match="Function not implemented"):
        system_call(100_000)
    with pytest.raises(OSError, match="Invalid argument"):
        process_control(100_000, 0)
