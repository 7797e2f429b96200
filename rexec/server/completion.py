"""What may stand at the place of the cursor: the policy's own matcher, asked half way.

The words are offered by rules that the asker may use here and now, and by nobody else's. Names of files
come from below the roots that such a rule names for its own paths, and no link leads out of them. The disk is
read with the rights of the account that the command would have.
"""

from __future__ import annotations

import json
import os
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from rexec.limits import CHECK_PATIENCE
from rexec.policy import paths
from rexec.policy.arguments import reach
from rexec.policy.circumstances import outside
from rexec.policy.decide import base_of, candidates
from rexec.policy.offers import offers, roots_behind
from rexec.policy.request import bytes_of, text_of
from rexec.process.account import become, is_ours
from rexec.process.bounded import answer_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rexec.policy.request import Request
    from rexec.policy.rules import Policy, Rule

WORDS_MAX = 200  # words of one answer
NAMES_MAX = 2_000  # names of one directory that are looked at: nobody else is served meanwhile


class Choice(NamedTuple):
    """A word that may stand there; `more`: it is only the beginning of one."""

    word: str
    about: str
    more: bool


def complete(policy: Policy, request: Request) -> list[Choice]:
    """Offer what the last word of a request may become, which may be empty; the words before it stand."""
    *words, begun = request.words
    if not words:
        return []
    found: dict[str, Choice] = {}
    for rule in candidates(policy, request):
        if outside(rule.grant, request) is None:
            for choice in islice(_choices(policy, rule, request, words, begun), WORDS_MAX):
                found.setdefault(choice.word, choice)
    return list(found.values())[:WORDS_MAX]


def _choices(policy: Policy, rule: Rule, request: Request, words: list[str], begun: str) -> Iterator[Choice]:
    base = base_of(policy, rule, request)
    for offer in offers(rule, words, base):
        is_begun = offer.text.endswith("=") and begun.startswith(offer.text)
        if offer.kind == "path":
            places = [(offer.text, "")]
        else:
            places = [(root, offer.text) for root in roots_behind(rule, offer.text)] if is_begun else []
        if offer.kind == "word" and not places and offer.text.startswith(begun):
            yield Choice(offer.text, rule.about, offer.text.endswith("="))
        for root, beginning in places:
            for name, is_directory in _seen(policy, rule, root, base, begun.removeprefix(beginning)):
                word = beginning + name
                if is_directory or reach(rule.patterns, (*words, word), base) > len(words):
                    yield Choice(f"{word}/" if is_directory else word, offer.about, is_directory)


def _seen(policy: Policy, rule: Rule, root: str, base: str, begun: str) -> Iterable[tuple[str, bool]]:
    """Give the paths as the account of the rule sees them, which a process of its own becomes."""
    account = policy.account_of(rule)
    if rule.grant.run_as is None or is_ours(account):
        return _names(root, base, begun)

    def look() -> bytes:
        become(account)
        return json.dumps(list(islice(_names(root, base, begun), WORDS_MAX))).encode()

    answer = answer_within(CHECK_PATIENCE, look)
    return [(name, is_directory) for name, is_directory in json.loads(answer)] if answer else []


def _names(root: str, base: str, begun: str) -> Iterator[tuple[str, bool]]:
    """Give the paths below a root that begin so, spelled as begun, and whether each is a directory."""
    folder, slash, last = begun.rpartition("/")
    where = paths.joined(base, folder + slash or ".")
    if where is None:
        return
    if not paths.is_beneath(root, where):
        if root.startswith(begun) and (begun or not paths.is_beneath(root, base)):
            yield root, os.path.isdir(bytes_of(root))
        return
    for name, is_directory in _entries(root, where):
        if name.startswith(last) and (last or not name.startswith(".")):
            yield folder + slash + name, is_directory


def _entries(root: str, where: str) -> Iterator[tuple[str, bool]]:
    """Give the names in a directory that really lies in the root, but for links that lead out of it."""
    real_root = os.path.realpath(bytes_of(root))
    try:
        folder = os.open(bytes_of(where), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        real = os.readlink(f"/proc/self/fd/{folder}".encode())
        if not _is_inside(real_root, real):
            return
        with os.scandir(folder) as entries:
            for entry in islice(entries, NAMES_MAX):
                name = os.fsencode(entry.name)
                if not entry.is_symlink() or _is_inside(
                    real_root, os.path.realpath(os.path.join(real, name))
                ):
                    yield text_of(name), entry.is_dir()
    except OSError:
        return
    finally:
        os.close(folder)


def _is_inside(root: bytes, path: bytes) -> bool:
    return root == b"/" or path == root or path.startswith(root + b"/")
