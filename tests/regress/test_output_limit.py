"""A rule with `output` lets so many bytes through, of both streams together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.regress.conftest import Host, processes_of, wait_until

RULES = """\
sh ...
    output 64K truncate
python3 ...
    output 64K kill
seq ...
    output 10 kill
"""
SIZE = 64 * 1024
KILLED = """\
import os, signal
print(os.getpid(), flush=True)
os.write({}, b"x" * 200000)
while True:
    signal.pause()
"""


@pytest.fixture
def bounded(make_host: Callable[..., Host]) -> Host:
    return make_host(RULES).start()


def test_what_is_cut_off_does_not_hold_up_the_program(bounded: Host) -> None:
    """allow-list.md: `output 10M truncate`: it goes on to its own end, and its status is its own."""
    found = bounded.object("sh", "-c", "head -c 3000000 /dev/zero && head -c 9000 /dev/zero >&2; exit 3")
    assert (found["state"], found["exit_code"], found["truncated"]) == ("failed", 3, True)
    assert (found["stdout_bytes"], found["stderr_bytes"]) == (SIZE, 0)


def test_both_streams_count_together(bounded: Host) -> None:
    """allow-list.md: `output 10M`: a program that splits its output gets no more."""
    script = "head -c 40000 /dev/zero; read x; head -c 40000 /dev/zero >&2; read x; echo more"
    with bounded.popen("sh", "-c", script, bufsize=0) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        for stream, size in ((client.stdout, 40_000), (client.stderr, SIZE - 40_000)):
            seen = b""
            while seen.count(0) < size:
                seen += stream.read(4096)
            client.stdin.write(b"\n")
        assert client.stdout.read() == b""
        seen += client.stderr.read()
        assert seen.count(0) == SIZE - 40_000
        told = seen.replace(b"\0", b"").removeprefix(b"\n")  # behind the zeros, where some came before it
        assert told == b"rexec: output is cut off after 65,536 bytes (cmds.txt:1)\n"
    assert client.returncode == 0


def test_a_person_is_told_that_output_was_cut_off(bounded: Host) -> None:
    """cli.md: "Output that did not arrive whole is never a success": where a rule wants it so, it is said."""
    done = bounded.run("sh", "-c", "head -c 100000 /dev/zero")
    assert (done.returncode, len(done.stdout)) == (0, SIZE)
    assert done.stderr == b"rexec: output is cut off after 65,536 bytes (cmds.txt:1)\n"


def test_as_much_as_is_allowed_is_not_cut_off(bounded: Host) -> None:
    """allow-list.md: `output 10M`: the bound itself is within it."""
    for kind in ("sh", "python3"):
        script = f"head -c {SIZE} /dev/zero" if kind == "sh" else f"print('x' * {SIZE}, end='')"
        found = bounded.object(kind, "-c", script)
        assert (found["state"], found["stdout_bytes"], found["truncated"]) == ("ok", SIZE, False)


def test_output_after_the_client_stopped_reading_is_dropped(bounded: Host) -> None:
    """security.md, Processes: "Output flood with a client that does not read": to drop it takes no window."""
    with bounded.popen("sh", "-c", "head -c 10000000 /dev/zero; echo done >&2; exit 5") as client:
        bounded.wait_for("rexec-server: end .* status=5")
        assert client.stdout is not None
        assert len(client.stdout.read()) == SIZE
    assert client.returncode == 5


@pytest.mark.parametrize("stream", [1, 2])
def test_too_much_output_ends_the_command_with_all_its_group(bounded: Host, stream: int) -> None:
    """cli.md: "`ended` (server drain, output limit)": 255, and the beginning is there."""
    found = bounded.object("python3", "-c", KILLED.format(stream), input=None)
    assert (found["state"], found["exit_code"], found["truncated"]) == ("ended", 255, True)
    assert found["error"] == "more than 65,536 bytes of output (cmds.txt:3)"
    assert int(str(found["stdout_bytes"])) + int(str(found["stderr_bytes"])) == SIZE
    leader = int(str(found["stdout"]).split("\n")[0])
    wait_until(lambda: not processes_of(leader), "the group is gone")
    bounded.wait_for("rexec-server: end .* status=output_limit")


def test_a_flood_of_one_who_ignores_term_is_ended(bounded: Host) -> None:
    """security.md, Processes: "a child that ignores TERM or stops itself"."""
    script = (
        "import signal, os\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile 1: os.write(1, b'x' * 9999)"
    )
    found = bounded.object("python3", "-c", script)
    assert (found["state"], found["stdout_bytes"]) == ("ended", SIZE)


def test_who_has_ended_before_it_could_be_killed_has_not_done_well(bounded: Host) -> None:
    """README.md: "Output that was cut is never taken for a success", however short the program runs."""
    for _ in range(3):
        found = bounded.object("seq", "100")
        assert (found["state"], found["exit_code"], found["stdout_bytes"]) == ("ended", 255, 10)
        assert found["error"] == "more than 10 bytes of output (cmds.txt:5)"
