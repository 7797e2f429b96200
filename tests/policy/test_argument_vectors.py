"""Every case of tests/vectors/policy/arguments, put to `decide`."""

from __future__ import annotations

import pytest

from rexec.policy.decide import decide
from rexec.policy.rules import Deny, Permit
from rexec.policy.types import TYPES
from tests.policy.fakes import policy_of, request_of
from tests.policy.vectors import Stanza, stanzas

STANZAS = tuple(stanzas())


def test_every_type_has_vectors() -> None:
    texts = " ".join(stanza.rule for stanza in STANZAS)
    assert [name for name in TYPES if f"{{{name}" not in texts] == []


@pytest.mark.parametrize("stanza", STANZAS, ids=lambda stanza: stanza.cases[0].place)
def test_a_rule_takes_and_refuses_what_its_vectors_say(stanza: Stanza) -> None:
    """security.md, Around the allow list: "One argument that pretends to be two, two that match one
    pattern"; "Unicode digits, `+5`, ` 5`, `0x10` for `{int}`"; "unanchored, `$` before a newline"."""
    policy = policy_of(f"{stanza.head}\n{stanza.text('x', 'show')}")
    for case in stanza.cases:
        decision = decide(policy, request_of("x", *case.words))
        if case.gets is None:
            assert isinstance(decision, Deny), case
            assert decision.message.isprintable()
        else:
            assert isinstance(decision, Permit), (case, decision)
            assert decision.argv[1:] == case.gets, case
            assert decision.logged == ("x", *case.words)
