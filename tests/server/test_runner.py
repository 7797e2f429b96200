"""The runner's order of things, where that is not to be seen from outside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rexec.server import runner
from rexec.server.runner import Runner
from tests.process.test_child import permit_of


@pytest.mark.parametrize(
    ("rule", "words", "steps"),
    [("ls {path:/** ro}", ("ls", "/etc"), ["flush", "disk"]), ("ls ...", ("ls", "/etc"), ["disk"])],
    ids=["a path to look at", "nothing to look at"],
)
def test_reports_that_wait_for_others_do_not_wait_for_a_disk(
    monkeypatch: pytest.MonkeyPatch, rule: str, words: tuple[str, ...], steps: list[str]
) -> None:
    seen: list[str] = []

    def discharge(permit: object) -> str:
        seen.append("disk")
        return "not there"

    monkeypatch.setattr(runner, "discharge", discharge)
    self = SimpleNamespace(
        _link=SimpleNamespace(flush=lambda: seen.append("flush")),
        _crowded=lambda user: None,
        _unfit=lambda permit: None,
        _reject=lambda order, seat, deny: seen.append(deny.message),
    )
    seat = SimpleNamespace(principal=SimpleNamespace(user="alice"))
    permit = permit_of(rule, *words)
    Runner._allow(cast(Any, self), cast(Any, None), cast(Any, seat), permit)
    assert seen == [*steps, "not there"]
