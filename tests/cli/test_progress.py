"""What a person sees of a copy."""

from __future__ import annotations

import os

import pytest

from rexec.cli.progress import Progress, Told, amount


@pytest.fixture
def drawn() -> tuple[Progress, list[float], int, list[str]]:
    """A progress with a clock of its own, what it draws and what it says."""
    reading, writing = os.pipe()
    now, said = [10.0], []
    progress = Progress(said.append, said.append, writing, lambda: now[0])
    progress.aim("host:/srv/file", "elsewhere:/file")
    return progress, now, reading, said


def test_a_line_has_name_share_amount_rate_and_time_left(
    drawn: tuple[Progress, list[float], int, list[str]],
) -> None:
    progress, now, reading, _ = drawn
    progress.begin((b"sub", b"na\x1bme"), 4_000_000)
    progress.moved(100)  # too early to draw
    now[0] += 1
    progress.moved(999_900)
    line = os.read(reading, 1000).decode()
    assert line.startswith("\rna\\x1bme ")
    assert line.split()[-5:] == ["25%", "977KB", "977KB/s", "00:03", "ETA"]
    now[0] += 3
    progress.moved(3_000_000)
    os.read(reading, 1000)
    progress.end()
    line = os.read(reading, 1000).decode()
    assert line.endswith("\n")
    assert line.split()[-4:] == ["100%", "3906KB", "977KB/s", "00:04"]
    assert len(line.rstrip("\n")) <= 80


def test_a_stream_has_neither_share_nor_end(drawn: tuple[Progress, list[float], int, list[str]]) -> None:
    progress, now, reading, _ = drawn
    progress.begin((), None)
    now[0] += 1
    progress.moved(5)
    line = os.read(reading, 1000).decode()
    assert "--:-- ETA" in line
    assert line.startswith("\rfile ")


def test_a_failure_has_a_line_of_its_own(drawn: tuple[Progress, list[float], int, list[str]]) -> None:
    progress, now, reading, said = drawn
    progress.begin((), 10)
    now[0] += 1
    progress.moved(5)
    progress.failed((b"a", b"b"), "no such file or directory")
    assert os.read(reading, 1000).decode().endswith("\n")
    progress.refused((), "file exists")
    progress.grew((b"log",), 7)
    assert said == [
        "host:/srv/file/a/b: no such file or directory",
        "elsewhere:/file: file exists",
        "host:/srv/file/log: grew while it was read; copied as it was, 7 bytes",
    ]
    assert progress.failures == 2


def test_without_a_terminal_nothing_is_drawn() -> None:
    said: list[str] = []
    told = Told(said.append, said.append)
    told.begin((), 5)
    told.moved(5)
    told.end()
    assert said == []


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (9_999, "9999B"),
        (10_000, "9.8KB"),
        (5_000_000, "4883KB"),
        (1 << 30, "1024MB"),
        (1e20, "88818PB"),
    ],
)
def test_amounts_are_short(count: float, text: str) -> None:
    assert amount(count) == text
