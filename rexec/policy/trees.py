"""The rules of a command word as trees: those that begin alike are tried together.

A tree names the rules that may take an argument vector, and says how near the others come; whether one
takes it, `match` alone says. Trees grow where somebody comes by: a node parts its rules when it is first
reached.
"""

from __future__ import annotations

from typing import NamedTuple

from rexec.limits import MATCHED_MAX, VALUE_MAX
from rexec.policy.accept import Options
from rexec.policy.arguments import START, miss, position_behind, reach
from rexec.policy.paths import joined, root_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from rexec.policy.arguments import Pattern
    from rexec.policy.rules import Policy, Rule

    Placed = tuple[int, Rule]  # a rule, with its number among all of the policy
    # a node, the ends that lead to it, and the number of the step before with the pattern that was taken
    _Step = tuple["Node", Mapping[int, int], int, "Pattern | None"]


class Short(NamedTuple):
    """Rules that take the words up to the same place, and want others at the same place.

    `position` is None where that is not known yet: it takes longer than all the rest.
    """

    reach: int
    position: int | None
    base: str
    number: int  # of the first of them
    rule: Rule  # the first of them
    others: Iterator[Placed]  # in their order

    def left(self, words: Sequence[str]) -> int:
        """Give the place at which the words leave the rules."""
        if self.position is None:
            return miss(self.rule.patterns, words, self.base).position
        return self.position


class Node:
    """Rules whose first patterns, `depth` of them, are the same."""

    __slots__ = (
        "_children",
        "_depths",
        "_others",
        "_roots",
        "_words",
        "depth",
        "ended",
        "is_behind_values",
        "placed",
        "ways",
    )

    def __init__(self, depth: int, behind: Pattern | None = None) -> None:
        self.depth = depth
        # only an option whose value is not there, or is wrong, wants something behind where its list may end
        self.is_behind_values = isinstance(behind, Options) and bool(behind.types)
        self.placed: list[Placed] = []  # in the order of the file
        self.ways: list[Node | None] = []  # which child each of them is in; None: it has no more patterns
        self.ended: list[Placed] = []
        self._children: dict[Pattern, Node] = {}
        # children by the word, and by the root of the path, without which they take nothing; and the others
        self._words: dict[str, list[tuple[Pattern, Node]]] = {}
        self._roots: dict[str, list[tuple[Pattern, Node]]] = {}
        self._depths: list[int] = []  # how many components these roots have
        self._others: list[tuple[Pattern, Node]] = []

    def children(
        self, words: Sequence[str], starts: Collection[int], base: str
    ) -> Iterable[tuple[Pattern, Node]]:
        """Give the children that may take something behind one of `starts`; all that could are among them."""
        if not self.ways:
            self._part()
        found: list[tuple[Pattern, Node]] = []
        for start in starts:
            if start < len(words):
                found += self._words.get(words[start], ())
                if self._roots:
                    found += self._around(words[start], base)
        found += self._others
        return found if len(starts) == 1 and not self._roots else dict.fromkeys(found)

    def _around(self, word: str, base: str) -> Iterator[tuple[Pattern, Node]]:
        """Give the children for paths whose root is a path itself, or a directory above it."""
        path = joined(base, word) if len(word) <= VALUE_MAX else None
        if path is None:
            return
        parts = path.split("/")
        for depth in self._depths:
            if depth < len(parts):
                yield from self._roots.get("/".join(parts[: depth + 1]) or "/", ())

    def outside(self, children: Sequence[Node]) -> Iterator[Placed]:
        """Give the rules that are in none of these children, in their order."""
        if not children:
            return iter(self.placed)
        pairs, inside = zip(self.placed, self.ways, strict=True), set(children)
        return (placed for placed, child in pairs if child not in inside)

    def _part(self) -> None:
        for placed in self.placed:
            patterns = placed[1].patterns
            if len(patterns) == self.depth:
                self.ended.append(placed)
                self.ways.append(None)
                continue
            pattern = patterns[self.depth]
            child = self._children.get(pattern)
            if child is None:
                child = self._children[pattern] = Node(self.depth + 1, pattern)
            child.placed.append(placed)
            self.ways.append(child)
        for pattern, child in self._children.items():
            self._file(pattern, child)
        self._depths = sorted({root.count("/") if root != "/" else 0 for root in self._roots})

    def _file(self, pattern: Pattern, child: Node) -> None:
        roots = [root_of(found.place.glob) for found in pattern.types if found.place]
        if pattern.is_single and pattern.choices:
            for word in pattern.choices:
                self._words.setdefault(word, []).append((pattern, child))
        elif pattern.is_single and roots:
            self._roots.setdefault(roots[0], []).append((pattern, child))
        else:
            self._others.append((pattern, child))


class Tree:
    """The rules of one command word for the same people, with relative paths seen from the same place."""

    __slots__ = ("first", "root")

    def __init__(self, first: Rule) -> None:
        self.first = first
        self.root = Node(0)

    def walk(self, words: Sequence[str], base: str) -> Walk:
        """Go with the words as far as they lead."""
        return Walk(self.root, words, base)


class Walk:
    """Where an argument vector leads to in a tree."""

    __slots__ = ("_base", "_root", "_steps", "_words")

    def __init__(self, root: Node, words: Sequence[str], base: str) -> None:
        self._root, self._words, self._base = root, words, base
        self._steps: list[_Step] = []  # none where each rule is looked at by itself
        if len(root.placed) > 1 and len(words) <= MATCHED_MAX + 1:
            self._go()

    def _go(self) -> None:
        words, base, steps = self._words, self._base, self._steps
        steps.append((self._root, START, -1, None))
        for number, (node, reached, _, _) in enumerate(steps):  # which grows meanwhile
            if len(node.placed) > 1:
                for pattern, child in node.children(words, reached, base):
                    ends = pattern.ends(words, reached, base)
                    if ends:
                        steps.append((child, ends, number, pattern))

    @property
    def rules(self) -> int:
        """Count the rules of the tree."""
        return len(self._root.placed)

    def takers(self) -> list[Placed]:
        """Give the rules that may take the words, by number; all that do are among them."""
        if not self._steps:
            return self._root.placed
        found: list[Placed] = []
        for node, reached, _, _ in self._steps:
            if len(node.placed) == 1:
                found += node.placed
            elif len(self._words) in reached:
                found += node.ended
        if len(found) > 1:
            found.sort()
        return found

    def shorts(self) -> Iterator[Short]:
        """Part the rules, none of which takes the words, by how far they come."""
        if not self._steps:
            yield from (self._alone(placed) for placed in self._root.placed)
            return
        entered: list[list[Node]] = [[] for _ in self._steps]  # the children that each step leads to
        for node, _, before, _ in self._steps[1:]:
            entered[before].append(node)
        positions: list[int] = []
        for (node, reached, before, pattern), inside in zip(self._steps, entered, strict=True):
            behind = max(reached)
            if pattern is not None:
                if node.is_behind_values:
                    starts = self._steps[before][1]
                    behind = max(behind, position_behind(pattern, self._words, starts, self._base))
                behind = max(behind, positions[before])
            positions.append(behind)
            if len(node.placed) == 1:
                yield self._alone(node.placed[0])
            elif sum([len(child.placed) for child in inside]) < len(node.placed):
                # they all want something else at the same place, whatever it is
                others = node.outside(inside)
                yield Short(max(reached), behind, self._base, *next(others), others)

    def _alone(self, placed: Placed) -> Short:
        reached = reach(placed[1].patterns, self._words, self._base)
        return Short(reached, None, self._base, *placed, iter(()))


class Trees:
    """All trees of a policy, by command word and by whom they are for."""

    __slots__ = ("_grown", "_numbers", "_policy")

    def __init__(self, policy: Policy, numbers: Mapping[str, Sequence[int]]) -> None:
        self._policy = policy
        self._numbers = numbers  # of the rules of each command word, in their order
        self._grown: dict[str, _Grove] = {}

    def of(self, word: str, user: str, groups: frozenset[str]) -> Collection[Tree]:
        """Give the trees of the rules for this command word that are for this user."""
        grove = self._grown.get(word)
        if grove is None:
            if word not in self._numbers:
                return ()
            grove = self._grown[word] = _Grove(self._policy, self._numbers[word])
        return grove.of(user, groups)


class _Grove:
    """The trees of one command word."""

    __slots__ = ("_everyone", "_named")

    def __init__(self, policy: Policy, numbers: Iterable[int]) -> None:
        self._everyone: list[Tree] = []
        self._named: dict[str, list[Tree]] = {}  # by the name of a user, or of a group behind @
        trees: dict[object, Tree] = {}
        for number in numbers:
            rule = policy.rules[number]
            kind = (rule.whos, _seen_from(policy, rule))
            if kind not in trees:
                trees[kind] = Tree(rule)
                self._file(trees[kind])
            trees[kind].root.placed.append((number, rule))

    def _file(self, tree: Tree) -> None:
        section, whom = tree.first.whos
        who = section if whom.everyone else whom
        if who.everyone:
            self._everyone.append(tree)
        for name in (*who.users, *(f"@{group}" for group in who.groups)):
            self._named.setdefault(name, []).append(tree)

    def of(self, user: str, groups: frozenset[str]) -> Collection[Tree]:
        if not self._named:
            return self._everyone
        named = [
            tree for name in (user, *(f"@{group}" for group in groups)) for tree in self._named.get(name, ())
        ]
        mine = (tree for tree in dict.fromkeys(named) if tree.first.is_for(user, groups))
        return [*self._everyone, *mine]


def _seen_from(policy: Policy, rule: Rule) -> tuple[str, bool] | None:
    """Say what decides where relative paths of a rule are seen from; None where it has no paths."""
    return (policy.home_of(rule), rule.grant.cwd_ask is None) if rule.has_paths else None
