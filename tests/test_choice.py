"""Our own enumerations are used as those of `enum` are, and cost nothing to import."""

from __future__ import annotations

import copy
import pickle

import pytest

from rexec.choice import Choice, IntChoice


class Colour(Choice):
    """Some texts, and what belongs to them."""

    RED = "red"
    GREEN = "green"

    @property
    def other(self) -> Colour:
        return Colour.GREEN if self is Colour.RED else Colour.RED


class Weight(IntChoice):
    """Some numbers."""

    LIGHT = 0
    HEAVY = 7


@pytest.mark.parametrize(
    ("kind", "value", "member"), [(Colour, "red", Colour.RED), (Weight, 7, Weight.HEAVY)]
)
def test_a_value_or_a_name_gives_the_only_member(kind: type[Choice], value: object, member: Choice) -> None:
    assert kind(value) is kind(member) is kind[member.name] is member
    assert (member.value, kind.__members__[member.name]) == (value, member)
    assert copy.deepcopy(member) is pickle.loads(pickle.dumps(member)) is member


@pytest.mark.parametrize("kind", [Colour, Weight])
@pytest.mark.parametrize("value", [1, "blue", None, []])
def test_what_is_no_value_is_refused(kind: type[Choice], value: object) -> None:
    with pytest.raises(ValueError, match=f"is not a valid {kind.__name__}"):
        kind(value)


def test_members_stand_in_their_order() -> None:
    assert list(Colour) == [Colour.RED, Colour.GREEN]
    assert len(Weight) == 2
    assert "red" in Colour
    assert Colour.GREEN in Colour
    assert "blue" not in Colour


def test_a_number_is_one_and_a_text_is_none() -> None:
    assert Weight.HEAVY == 7
    assert {Weight.HEAVY: "found"}[7] == "found"  # type: ignore[index]
    assert f"{Weight.HEAVY} {Weight.HEAVY:02d} {Weight.HEAVY!r}" == "7 07 <Weight.HEAVY: 7>"
    assert Colour.RED != "red"
    assert repr(Colour.RED) == "<Colour.RED: 'red'>"


def test_a_match_finds_them() -> None:
    def found(of: object) -> str:
        match of:
            case Colour.GREEN:
                return "green"
            case Weight.LIGHT:
                return "light"
            case _:
                return "else"

    assert [found(of) for of in (Colour.GREEN, 0, Colour.RED)] == ["green", "light", "else"]


def test_what_belongs_to_them_is_kept() -> None:
    assert Colour.RED.other is Colour.GREEN
    assert Colour.RED.other.other is Colour.RED
