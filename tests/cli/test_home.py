"""`--home` in front of a subcommand and behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.cli.audit import main


@pytest.mark.parametrize("command", ["verify", "show"])
def test_a_home_is_taken_in_front_of_a_subcommand_and_behind_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    """cli.md: "`--home DIR` on every command"."""
    for words in (
        ["--home", str(tmp_path), command],
        ["--home", "/nowhere", command, "--home", str(tmp_path)],
    ):
        assert main(words) == 2
        assert f"rexec-audit: {tmp_path}: no audit log here\n" in capsys.readouterr().err
