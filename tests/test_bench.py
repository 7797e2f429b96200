"""The arithmetic of the bench's table; nothing is measured here."""

from __future__ import annotations

from bench.figures import Row, Target, table


def test_a_row_gives_medians_quartiles_ratios_and_whether_targets_are_reached() -> None:
    samples = {"ssh": [100.0, 100.0, 130.0], "rexec": [10.0, 30.0, 20.0]}
    targets = (Target(most=0.3, of="ssh"), Target(least=21), Target(most=1, of="nrpe"))
    row = Row("cold", "ms", samples, {"nrpe": "not here"}, targets)
    assert row.ratio("ssh") == 0.2
    assert [row.verdict(target) for target in targets] == [True, False, None]
    assert table([row]).splitlines()[2:] == [
        "| cold | rexec | 20.0 ms  | 15.0 - 25.0 |            | >= 21  | NO      |",
        "|      | nrpe  | not here |             |            | <= 1   | ?       |",
        "|      | ssh   | 100 ms   | 100 - 115   | 0.20       | <= 0.3 | yes     |",
    ]
