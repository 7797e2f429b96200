"""No exit overtakes the output before it."""

from __future__ import annotations

from tests.regress.conftest import Host
from tests.regress.forked import Done, forked

RUNS = 500
LAST = 20_000
WHOLE = b"".join(b"%d\n" % number for number in range(1, LAST + 1))


def test_500_runs_of_a_long_seq_are_whole(shared_host: Host) -> None:
    """security.md, Processes: "Exit seen before the last output: 500 runs of a long `seq`, every one
    whole"."""
    lines = [[shared_host.address, "seq", str(LAST)]] * RUNS
    assert all(done == Done(0, WHOLE, b"") for done in forked(lines, shared_host.environment()))


def test_so_are_some_of_a_client_that_was_not_forked(shared_host: Host) -> None:
    """cli.md: "stdout carries the command's bytes": the control of the test above."""
    for _ in range(5):
        done = shared_host.run("seq", str(LAST))
        assert (done.returncode, done.stdout, done.stderr) == (0, WHOLE, b"")
