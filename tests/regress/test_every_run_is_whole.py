"""No exit overtakes the output before it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.regress.conftest import Host

RUNS = 500
LAST = 20_000
WHOLE = b"".join(b"%d\n" % number for number in range(1, LAST + 1))


def test_500_runs_of_a_long_seq_are_whole(shared_host: Host) -> None:
    """security.md, Processes: "Exit seen before the last output: 500 runs of a long `seq`"."""

    def run(number: int) -> bool:
        done = shared_host.run("seq", str(LAST))
        return done.returncode == 0 and done.stdout == WHOLE and done.stderr == b""

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(RUNS)))
