"""Close words are found by their index as they are by looking at each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rexec.policy.neighbours import Neighbours
from rexec.policy.wording import closest, is_close

WORDS = st.text("ab/", max_size=6)


@given(st.lists(WORDS, unique=True), WORDS)
def test_the_index_finds_what_a_look_at_each_word_finds(known: list[str], word: str) -> None:
    found = list(Neighbours(known).of(word))
    wanted = [other for other in reversed(known) if is_close(word, other)] if len(word) > 1 else []
    assert found == wanted
    assert (found or [None])[0] == closest(word, reversed(known))


def test_long_words_have_a_name_and_no_neighbours() -> None:
    known = Neighbours(["/" + "x" * 5000 + "/ls", "x" * 5001])
    assert list(known.of("ls")) == ["/" + "x" * 5000 + "/ls"]
    assert list(known.of("x" * 5000)) == []
