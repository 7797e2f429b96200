"""From what was run and denied to the draft of an allow list.

Commands of one shape become one rule: the command, the options word for word, and for each other place
the narrowest type that takes all that was seen there. The draft is then put to the same `decide` as
every list: a rule by which something that was denied would be allowed is taken back to exactly the
commands that were seen. Copies get the directory that they were of; who had a shell gets ``@shell``, which
takes all that a shell is told.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from typing import NamedTuple

from rexec.limits import POLICY_LINE_MAX
from rexec.policy.arguments import DASHES
from rexec.policy.braces import read_braces
from rexec.policy.captures import HIDDEN
from rexec.policy.decide import decide, plain_request
from rexec.policy.forms import COPIES, PUT, SHELL
from rexec.policy.parse import parse
from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw, PolicyRefused
from rexec.policy.rules import Deny
from rexec.policy.spelling import in_braces, is_writable, spelled
from rexec.policy.who import is_name
from rexec.policy.wording import show, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rexec.policy.disk import Disk
    from rexec.policy.rules import Policy

_ENUM_MAX = 6  # words at one place that are still named one by one
_TYPES = ("uuid", "date", "ip", "cidr", "duration", "email", "name", "word", "host", "text")
_USERS_MAX = 40  # of one section line
_PEOPLE_SHOWN = 8
_SIGNS = frozenset("*?[]{}")  # that mean more than themselves in the pattern of a path
_NAME = "draft"

Words = tuple[str, ...]
Rows = Counter[tuple[str, Words]]  # how often a user asked for these words


class Seen(NamedTuple):
    """One command that somebody asked for, and whether it was allowed."""

    user: str
    words: Words
    allowed: bool


class _Shape(NamedTuple):
    """Commands that one rule could stand for: the command, and what is fixed at each place, "" if nothing."""

    command: str
    fixed: tuple[str, ...]


class _Group(NamedTuple):
    """Commands that become one rule, and who ran them how often."""

    rows: tuple[Words, ...]
    users: Counter[str]
    rule: str


def draft(seen: Iterable[Seen], disk: Disk) -> str:
    """Propose an allow list; it allows all that was seen allowed, and nothing that was seen denied."""
    commands: dict[str, bool] = {}
    allowed: Rows = Counter()
    denied: Rows = Counter()
    unwritten: Rows = Counter()
    for user, asked, was_allowed in seen:
        words = (asked[0], asked[-1]) if asked and asked[0] in COPIES else asked  # without its options
        if not is_name(user) or not _is_learnable(words, commands, disk):
            unwritten[user, words] += 1
        else:
            (allowed if was_allowed else denied)[user, words] += 1
    for user in {user for user, words in denied.keys() - allowed.keys() if words[0] == SHELL}:
        for key in [key for key in allowed if key[0] == user and key[1][0] == SHELL]:
            unwritten[key] += allowed.pop(key)  # the rule would allow the other as well
    groups = _sound(allowed, set(denied) - set(allowed), disk)
    refused = Counter({key: count for key, count in denied.items() if key not in allowed})
    return "\n".join([*_head(allowed), *_written(groups), *_denied(refused), *_left_out(unwritten)]) + "\n"


def _is_learnable(words: Words, commands: dict[str, bool], disk: Disk) -> bool:
    """Tell whether a rule could say these words: what logs hide, and what no line may hold, it cannot."""
    if not words or any(HIDDEN in word for word in words):
        return False
    if words[0] == SHELL:
        return True
    if not all(map(is_writable, words)):
        return False
    if words[0] in COPIES:
        return _is_copy(words, disk)
    if words[0] not in commands:
        commands[words[0]] = _is_command(words[0], disk)
    return commands[words[0]] and len(_rule((words,), exact=True).encode()) <= POLICY_LINE_MAX


def _is_command(word: str, disk: Disk) -> bool:
    try:
        parse(f"{spelled(word)} []", _NAME, disk)
    except PolicyRefused:
        return False
    return True


def _is_copy(words: Words, disk: Disk) -> bool:
    """Tell whether a place can be written that takes the path of a copy."""
    if not is_canonical(words[1]) or words[1] == "/" or _SIGNS.intersection(words[1]):
        return False
    try:
        policy = parse(_rule((words,), exact=True), _NAME, disk)
    except PolicyRefused:
        return False
    return not isinstance(decide(policy, plain_request(_NAME, words)), Deny)


# --- the text -------------------------------------------------------------------------------------


def _head(allowed: Rows) -> Iterator[str]:
    people = len({user for user, _ in allowed})
    seen = f"{_count(allowed.total(), 'command')} of {_count(people, 'user')}"
    yield f"# A draft from {seen}. Read each rule before it is used:"
    yield "# it allows what was seen, and what looks like it. rexec-server check says what to look out for."


def _written(groups: Sequence[_Group]) -> Iterator[str]:
    by_people: dict[tuple[str, ...], list[_Group]] = {}
    for group in groups:
        by_people.setdefault(tuple(_sections(group)), []).append(group)
    for sections, some in sorted(by_people.items()):
        for section in sections:
            yield ""
            yield section
            for group in sorted(some, key=lambda group: (-group.users.total(), group.rule)):
                yield f"# {_times(group.users)}"
                yield group.rule


def _denied(denied: Rows) -> Iterator[str]:
    """Write what was denied as comments, for whoever wants to allow some of it."""
    groups = sorted(_groups(denied, set()), key=lambda group: (-group.users.total(), group.rule))
    for group in groups:
        yield ""
        yield f"# denied {_times(group.users)}"
        yield f"# {group.rule}"


def _left_out(unwritten: Rows) -> Iterator[str]:
    if unwritten:
        yield ""
        yield "# Left out, since no rule can say these words as they are:"
    for (user, words), count in sorted(unwritten.items()):
        yield f"# {_times(Counter({user: count}))}: {show(words)}"


def _times(users: Counter[str]) -> str:
    total = users.total()
    people = [f"{shown(user)} ({count})" for user, count in users.most_common(_PEOPLE_SHOWN)]
    more = ["others"] if len(users) > _PEOPLE_SHOWN else []
    return f"{_count(total, 'time')} by {', '.join(people + more)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# --- groups ---------------------------------------------------------------------------------------


def _sound(allowed: Rows, denied: set[tuple[str, Words]], disk: Disk) -> list[_Group]:
    """Generalise as far as the draft goes on to decide all that was seen as it was decided."""
    exact: set[_Shape] = set()
    while True:
        groups = [*_groups(allowed, exact)]
        text, owners = _rules(groups)
        wrong = _misjudged(parse(text, _NAME, disk), owners, allowed, denied)
        if wrong <= exact:
            return groups
        exact |= wrong


def _groups(seen: Rows, exact: set[_Shape]) -> Iterator[_Group]:
    """Give the groups; those of `exact` shapes are one for each command."""
    shapes: dict[_Shape, Rows] = {}
    for (user, words), count in seen.items():
        shapes.setdefault(_shape(words), Counter())[user, words] += count
    for shape, rows in shapes.items():
        if shape not in exact:
            yield _group(rows, exact=False)
            continue
        single: dict[Words, Rows] = {}
        for key, count in rows.items():
            single.setdefault(key[1], Counter())[key] += count
        yield from (_group(some, exact=True) for some in single.values())


def _group(rows: Rows, *, exact: bool) -> _Group:
    users: Counter[str] = Counter()
    for (user, _), count in rows.items():
        users[user] += count
    every = tuple(dict.fromkeys(words for _, words in rows))
    return _Group(every, users, _rule(every, exact=exact))


def _rule(rows: Sequence[Words], *, exact: bool) -> str:
    """Write the rule for rows of one shape; an `exact` one takes no caller who left out ``--``."""
    command = rows[0][0]
    if command == SHELL:
        return command
    if command in COPIES:
        return f"{command} {{{_place([path for _, path in rows], command, exact=exact)}}}"
    written = [spelled(command), *_patterns(rows)]
    if not exact and DASHES in rows[0]:
        written[rows[0].index(DASHES)] = DASHES
    return " ".join(written)


def _place(paths: Sequence[str], command: str, *, exact: bool) -> str:
    """Write the narrowest place of a copy; ``PATH/**`` is PATH itself and, of a directory, all beneath."""
    above = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    root = paths[0] if len(paths) == 1 and (command != PUT or above == "/") else above
    where = in_braces(paths[0] if exact else f"{root}/**")
    return f"path:{where} {'rw' if command == PUT else 'ro'}"


def _shape(words: Words) -> _Shape:
    if words[0] == SHELL:
        return _Shape(SHELL, ())
    if words[0] in COPIES:
        return _Shape(words[0], (words[1].split("/", 2)[1] if words[1].count("/") > 1 else words[1],))
    ended = words.index("--") if "--" in words else len(words)
    fixed = (
        word if word.startswith("-") and place <= ended else "" for place, word in enumerate(words[1:], 1)
    )
    return _Shape(words[0], tuple(fixed))


def _patterns(rows: Sequence[Words]) -> Iterator[str]:
    """Write the arguments of rows of one shape."""
    if len(rows[0]) == 1:
        yield "[]"
    for place in range(1, len(rows[0])):
        yield _pattern(sorted({words[place] for words in rows}))


def _pattern(values: Sequence[str]) -> str:
    """Write the narrowest pattern that takes these values."""
    if len(values) == 1:
        return spelled(values[0])
    for written in _candidates(values):
        try:
            _, found = read_braces(written, 1, {})
        except Flaw:
            continue
        if all(found.takes(value, "/") for value in values):
            return f"{{{written}}}"
    return "{any}"


def _candidates(values: Sequence[str]) -> Iterator[str]:
    if all(value.isascii() and value.isdigit() for value in values):
        numbers = sorted(map(int, values))
        yield f"int:{numbers[0]}..{numbers[-1]}"
    if all(value.startswith("/") for value in values):
        root = posixpath.commonpath([posixpath.dirname(value) for value in values])
        if root != "/":
            yield f"path:{in_braces(root + '/**')} ro"
    if len(values) <= _ENUM_MAX:
        yield "|".join(map(in_braces, values))
    yield from _TYPES


# --- judging the draft ----------------------------------------------------------------------------


def _rules(groups: Sequence[_Group]) -> tuple[str, dict[int, _Group]]:
    """Write the rules alone, and say which line is whose."""
    lines: list[str] = []
    owners: dict[int, _Group] = {}
    for group in groups:
        for section in _sections(group):
            lines += [section, group.rule]
            owners[len(lines)] = group
    return "\n".join(lines), owners


def _sections(group: _Group) -> Iterator[str]:
    users = sorted(group.users)
    for start in range(0, len(users), _USERS_MAX):
        yield f"[{' '.join(users[start : start + _USERS_MAX])}]"


def _misjudged(
    policy: Policy,
    owners: dict[int, _Group],
    allowed: Iterable[tuple[str, Words]],
    denied: Iterable[tuple[str, Words]],
) -> set[_Shape]:
    """Give the shapes whose rules decide something otherwise than it was decided."""
    wrong: set[_Shape] = set()
    denied = (key for key in denied if key[1][0] != SHELL)  # nobody has both: `draft`
    for user, words in denied:
        decision = decide(policy, plain_request(user, words))
        if not isinstance(decision, Deny):
            label = decision.rule if isinstance(decision.rule, str) else decision.rule.label
            wrong.add(_shape(owners[int(label.rpartition(":")[2])].rows[0]))
    for user, words in allowed:
        if words[0] != SHELL and isinstance(decide(policy, plain_request(user, words)), Deny):
            wrong.add(_shape(words))
    return wrong
