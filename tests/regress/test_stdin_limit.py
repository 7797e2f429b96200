"""A rule with `stdin SIZE` ends a command whose client sends more, and never shows it an early end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.regress.conftest import Host

SIZE = 300_000


@pytest.fixture
def bounded(make_host: Callable[..., Host]) -> Host:
    rules = f"cat\n    stdin {SIZE}\npython3 ...\n    stdin {SIZE}\nsh ...\n    stdin 64K\n"
    return make_host(rules).start()


def test_input_within_the_bound_arrives_whole(bounded: Host) -> None:
    """allow-list.md: `stdin 1M`."""
    for size in (0, 1, SIZE):
        done = bounded.run("cat", input=b"x" * size)
        assert (done.returncode, len(done.stdout)) == (0, size)


def test_one_byte_more_ends_the_command(bounded: Host) -> None:
    """allow-list.md: `stdin 1M`: refused with a reason, 255."""
    found = bounded.object("cat", input=b"x" * (SIZE + 1))
    assert (found["state"], found["exit_code"]) == ("ended", 255)
    assert found["error"] == "more than 300,000 bytes of input (cmds.txt:1)"
    bounded.wait_for("rexec-server: end .* status=input_limit")


def test_what_is_cut_off_is_never_taken_for_the_whole(bounded: Host, tmp_path: Path) -> None:
    """cli.md: "a result is never guessed": a program that acts on the end of its input does not see one."""
    done = tmp_path / "done"
    script = f"import sys; sys.stdin.buffer.read(); open({str(done)!r}, 'w')"
    found = bounded.object("python3", "-c", script, input=b"x" * (SIZE + 1))
    assert found["state"] == "ended"
    bounded.wait_for("rexec-server: end ")
    assert not done.exists()


def test_who_reads_nothing_is_bounded_as_well(bounded: Host) -> None:
    """security.md, Processes: "A program that never reads stdin while stdin floods: it ends"."""
    found = bounded.object("sh", "-c", "exec sleep 1000", input=b"x" * 20_000_000)
    assert found["state"] == "ended"
