"""The short form of `make fuzz`: all that was ever found, and samples by chance with a seed."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.fuzz.mutation import mutants
from tests.fuzz.targets import CORPUS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_findings_hold(name: str) -> None:
    for sample in TARGETS[name].known(name):
        TARGETS[name].try_it(sample)


@pytest.mark.parametrize("name", TARGETS)
def test_samples_by_chance_hold(name: str) -> None:
    """security.md, Around the allow list: "raw frames with any content meet the same decision"."""
    target = TARGETS[name]
    for sample in islice(mutants(target.known(name), target.words, 1), target.runs):
        target.try_it(sample)


def test_every_finding_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= set(TARGETS)
