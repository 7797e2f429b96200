"""A short run of `python -m tests.regress.soak`."""

from __future__ import annotations

from pathlib import Path

from tests.regress import soak


def test_commands_that_are_killed_at_any_moment_leave_nothing(tmp_path: Path) -> None:
    """security.md, Processes: "zombies, descriptors left over ...: back to the start values"."""
    host = soak.begin(tmp_path, "--resume-reset", "50ms")
    try:
        found, before, after = soak.run(host, commands=60, processes=2, warm=40)
    finally:
        host.end()
    assert found.wrong == []
    assert after.grown(before) == []
    assert found.ends["killed, process"] == 1
