"""A client that does not read stops its own child, costs no memory, and holds nobody else up."""

from __future__ import annotations

from pathlib import Path

from rexec.limits import MIB, WINDOW_START
from tests.regress.conftest import Host, resident_kib, wait_until

GROWTH = 24 * 1024  # KiB that windows, pipes and socket buffers of one command may take


def written(pid: int) -> int:
    """How many bytes a process has written (proc(5), /proc/PID/io)."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def is_stuck(pid: int) -> bool:
    """Whether a process sleeps, and has not written for a while."""
    before, found = written(pid), True
    for _ in range(30):
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        found = found and state == b"S"
    return found and written(pid) == before


def test_output_that_nobody_reads_blocks_the_child_and_memory_stays_flat(host: Host) -> None:
    """security.md, Processes: "Output flood with a client that does not read: memory flat"."""
    host.run("true")
    before = [resident_kib(pid) for pid in host.pids()]
    with host.popen("sh", "-c", "echo $$; exec yes") as client:
        assert client.stdout is not None
        leader = int(client.stdout.readline())
        wait_until(lambda: written(leader) > WINDOW_START and is_stuck(leader), "yes is blocked")
        assert written(leader) < 24 * MIB
        small = resident_kib(client.pid)
        for turn in range(5):
            assert host.run("seq", "1000").stdout.count(b"\n") == 1000, turn
        after = [resident_kib(pid) for pid in host.pids()]
        assert small < 80 * 1024
        assert all(late - early < GROWTH for early, late in zip(before, after, strict=True)), (before, after)
        client.stdout.close()
        client.wait()


def test_a_reader_that_comes_back_gets_every_byte(host: Host) -> None:
    """security.md, Processes: "the child blocks": it goes on where it stood."""
    script = "echo $$ >&2; exec seq 3000000"
    with host.popen("sh", "-c", script) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        leader = int(client.stderr.readline())
        wait_until(lambda: written(leader) > WINDOW_START and is_stuck(leader), "seq is blocked")
        data = client.stdout.read()
        assert client.wait() == 0
    assert data == b"".join(b"%d\n" % number for number in range(1, 3_000_001))


def test_64_mib_at_a_slow_pace_cost_no_memory(host: Host) -> None:
    """security.md, Processes: "memory flat" after all of a flood went through."""
    host.run("true")
    before = [resident_kib(pid) for pid in host.pids()]
    with host.popen("head", "-c", str(64 * MIB), "/dev/zero") as client:
        assert client.stdout is not None
        count = 0
        while data := client.stdout.read(64 * 1024):
            count += len(data)
        assert resident_kib_or_gone(client.pid) < 80 * 1024
        assert client.wait() == 0
    assert count == 64 * MIB
    after = [resident_kib(pid) for pid in host.pids()]
    assert all(late - early < GROWTH for early, late in zip(before, after, strict=True)), (before, after)


def resident_kib_or_gone(pid: int) -> int:
    try:
        return resident_kib(pid)
    except (OSError, AssertionError):  # it has ended: a zombie has no memory
        return 0
