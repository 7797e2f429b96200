"""What a rule makes of the words that it matched: values, the argv to start, and what logs may show."""

from __future__ import annotations

from rexec.policy.arguments import DASHES, Dashes
from rexec.policy.forms import SHELL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rexec.policy.arguments import Span
    from rexec.policy.grant import Fence
    from rexec.policy.rules import PathCheck, Rule
    from rexec.policy.served import Values

HIDDEN = "***"


def values_of(rule: Rule, words: Sequence[str], spans: Sequence[Span]) -> Values:
    """Give each captured value with its name, in the order of the arguments."""
    if not rule.captures:
        return ()
    named = ((pattern.name, span) for pattern, span in zip(rule.patterns, spans, strict=True) if pattern.name)
    return tuple((name, word) for name, span in named for word in words[span.start : span.end])


def argv_of(rule: Rule, words: tuple[str, ...], spans: Sequence[Span]) -> tuple[str, ...]:
    """Give the argv that is started: the server command's, or the client's with the ``--`` of the rule."""
    if rule.command == SHELL:
        return ("sh", "-c", *words[1:])
    if rule.served is not None:
        return rule.served.argv(values_of(rule, words, spans))
    for pattern, (start, end) in zip(rule.patterns, spans, strict=True) if rule.ends_options else ():
        if isinstance(pattern, Dashes) and start == end:
            return (*words[:start], DASHES, *words[start:])
    return words


def logged_of(rule: Rule, words: tuple[str, ...], spans: Sequence[Span]) -> tuple[str, ...]:
    """Give the client's words without the values that no log may hold."""
    if not rule.grant.redact:
        return words
    logged = list(words)
    for pattern, (start, end) in zip(rule.patterns, spans, strict=True):
        if pattern.name in rule.grant.redact:
            logged[start:end] = [HIDDEN] * (end - start)
    return tuple(logged)


def hidden(rules: Iterable[Rule], words: tuple[str, ...], own: Iterable[Rule] = ()) -> tuple[str, ...]:
    """Give words that no rule took as logs and the asker may see them.

    Where one of the rules has something to hide, which word it would have been is not known: then only
    words are shown that stand in `own`, the rules that are for the asker, who learns nothing of others.
    """
    if not any(rule.grant.redact for rule in rules):
        return words
    known = {
        choice
        for rule in own
        for pattern in rule.patterns
        if pattern.name not in rule.grant.redact
        for choice in pattern.choices
    }
    return (*words[:1], *(word if word in known else HIDDEN for word in words[1:]))


def checks_of(rule: Rule, words: Sequence[str], spans: Sequence[Span], base: str) -> Iterator[PathCheck]:
    """Give what the disk must be asked about the arguments."""
    for pattern, span in zip(rule.patterns, spans, strict=True):
        for check in pattern.checks(words, span, base):
            yield check._replace(shown=HIDDEN) if pattern.name in rule.grant.redact else check


def fence_of(rule: Rule) -> Fence:
    """Open the fence of a confined rule for the roots of its paths."""
    fence = rule.grant.fence
    if not fence.confined:
        return fence
    places = [found.place for pattern in rule.patterns for found in pattern.types if found.place]
    read = [place.root for place in places if not place.writing]
    written = [place.root for place in places if place.writing]
    return fence._replace(
        ro=tuple(dict.fromkeys((*fence.ro, *read))), rw=tuple(dict.fromkeys((*fence.rw, *written)))
    )
