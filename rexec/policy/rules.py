"""The values of the room: a policy is rules; a decision is a permit, a denial or a missing program."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from rexec.policy.arguments import Dashes
from rexec.policy.forms import COPIES, JOBS, SHELL, SHELL_PATH
from rexec.policy.grant import NO_FENCE, PLAIN, Fence, Grant
from rexec.policy.neighbours import Neighbours
from rexec.policy.trees import Trees
from rexec.policy.who import EVERYONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rexec.policy.arguments import Pattern
    from rexec.policy.disk import Account, Found
    from rexec.policy.problems import Problem
    from rexec.policy.served import Served
    from rexec.policy.who import Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the allow list with its options; `program` is None where none was found."""

    name: str
    line: int
    text: str  # as written, without options and comment
    command: str
    program: Found | None
    patterns: tuple[Pattern, ...]
    bare: bool  # nothing stands behind the command
    section: Who = EVERYONE
    grant: Grant = PLAIN
    form: str = ""  # the part of `text` that the client says
    served: Served | None = None  # what is started where that is not what the client says
    label: str = field(init=False, compare=False)  # as everybody sees it: ``cmds.txt:4``
    captures: bool = field(init=False, repr=False, compare=False)  # it names values
    has_paths: bool = field(init=False, repr=False, compare=False)
    ends_options: bool = field(init=False, repr=False, compare=False)  # there is a -- in it

    def __post_init__(self) -> None:
        """Note what each decision would look for in the patterns."""
        types = [found for pattern in self.patterns for found in pattern.types]
        object.__setattr__(self, "label", f"{self.name}:{self.line}")
        object.__setattr__(self, "captures", any(pattern.name for pattern in self.patterns))
        object.__setattr__(self, "has_paths", any(found.place for found in types))
        object.__setattr__(
            self, "ends_options", any(isinstance(pattern, Dashes) for pattern in self.patterns)
        )

    @property
    def about(self) -> str:
        return self.grant.about

    @property
    def starts(self) -> str:
        """Name the program that is started, as written."""
        if self.command == SHELL:
            return SHELL_PATH
        return self.command if self.served is None else self.served.command

    @property
    def copies(self) -> bool:
        """Tell whether the rule is for copying files, and starts no program."""
        return self.command in COPIES

    @property
    def shows(self) -> bool:
        """Tell whether this is about a detached command, and starts no program."""
        return self.command in JOBS

    @property
    def fingerprint(self) -> str:
        """Know a rule by its text and by whom it is for, wherever in the file it stands; in hex."""
        people = [(who.everyone, *sorted(who.users), "@", *sorted(who.groups)) for who in self.whos]
        return sha256(repr((self.name, self.text, people)).encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def whos(self) -> tuple[Who, Who]:
        """Give whom its section and its own option say that it is for."""
        return self.section, self.grant.whom

    @property
    def names(self) -> frozenset[str]:
        """Give the names of the values that the rule captures."""
        return frozenset(pattern.name for pattern in self.patterns if pattern.name)

    def is_for(self, user: str, groups: frozenset[str]) -> bool:
        return self.section.includes(user, groups) and self.grant.whom.includes(user, groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One generation of an allow list; nothing in it ever changes."""

    name: str
    generation: str  # SHA-256 of the text, in hex
    account: Account
    path: tuple[str, ...]
    groups: Mapping[str, frozenset[str]]  # of %group: the users of each
    rules: tuple[Rule, ...]
    strict: bool = False
    warnings: tuple[Problem, ...] = ()  # and notes
    index: Mapping[str, tuple[Rule, ...]] = field(init=False, repr=False, compare=False)
    memberships: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    neighbours: Neighbours = field(init=False, repr=False, compare=False)  # of the command words
    trees: Trees = field(init=False, repr=False, compare=False)
    secretive: frozenset[str] = field(init=False, repr=False, compare=False)  # words of rules that redact

    def __post_init__(self) -> None:
        """Index rules by command word and groups by user, so that a decision takes microseconds."""
        index: dict[str, list[int]] = {}
        for number, rule in enumerate(self.rules):
            index.setdefault(rule.command, []).append(number)
        memberships: dict[str, set[str]] = {}
        for group, users in self.groups.items():
            for user in users:
                memberships.setdefault(user, set()).add(group)
        object.__setattr__(
            self,
            "index",
            {word: tuple(map(self.rules.__getitem__, numbers)) for word, numbers in index.items()},
        )
        object.__setattr__(self, "trees", Trees(self, index))
        object.__setattr__(
            self, "secretive", frozenset(rule.command for rule in self.rules if rule.grant.redact)
        )
        object.__setattr__(self, "neighbours", Neighbours(index))
        object.__setattr__(self, "memberships", {user: frozenset(of) for user, of in memberships.items()})

    def account_of(self, rule: Rule) -> Account:
        """Name the account that runs the commands of a rule."""
        return self.account if rule.grant.run_as is None else rule.grant.run_as

    def home_of(self, rule: Rule) -> str:
        """Give the directory of a rule's commands where the client asks for none."""
        return self.account_of(rule).home if rule.grant.cwd is None else rule.grant.cwd

    def groups_of(self, user: str, own: frozenset[str] = frozenset()) -> frozenset[str]:
        """Unite the groups that the key gave (`own`) and those of %group."""
        return own | self.memberships.get(user, frozenset())

    def rules_for(self, user: str, own: frozenset[str]) -> list[Rule]:
        """List the rules that are for this user, in their order; `own` are the groups of the key."""
        groups = self.groups_of(user, own)
        return [rule for rule in self.rules if rule.is_for(user, groups)]


class PathCheck(NamedTuple):
    """An argument that names a file: where its links lead must match `glob` too, its ROOT resolved.

    `kind` is file, dir, new (nothing is there, its directory is) or "" for anything.
    """

    path: str  # absolute and canonical, as spelled
    glob: str  # absolute; * is one component, a last ** a subtree
    kind: str
    writing: bool
    shown: str  # the argument, for a denial


class Permit(NamedTuple):
    """The right to start one program once; only `decide` makes one, and `process` starts nothing else.

    `argv` is the client's, or the server command's where the rule has one. A copy (`rule.copies`) has no
    `path`: the file that it is about is that of its only check, and its `argv` is ``@get`` or ``@put``, the
    path as said, and options; where `rule.shows`, it is what is asked, options, and a detached command's id.
    What needs the disk or a count is an obligation, discharged as `account`
    before the start; one that fails is a denial:
    `cwd_root` (resolve the links of `cwd` and refuse when it has left this directory), `checks`,
    `sha256`, and of the grant `parallel` and `rate`.
    """

    rule: Rule
    grant: Grant
    path: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    cwd_root: str | None
    timeout: float | None
    pty: str | None
    stdin: bool  # False: the child reads /dev/null and the client's bytes are dropped
    umask: int
    linger: float
    background_keep: bool
    account: Account
    checks: tuple[PathCheck, ...] = ()
    fence: Fence = NO_FENCE  # of the grant, with the roots of the rule's paths where it is confined
    values: tuple[tuple[str, str], ...] = ()  # what the rule captured, by name
    logged: tuple[str, ...] = ()  # the client's words as logs may show them
    detached: bool = False  # it runs on without its client


@dataclass(frozen=True, slots=True)
class Deny:
    """The policy says no; `rule` is the label of the nearest rule that the asker may see."""

    message: str
    rule: str | None = None
    logged: tuple[str, ...] = field(
        default=(), kw_only=True, compare=False
    )  # the words as logs may show them
    confirm: str | None = None  # the text that is missing, and nothing else
    exit_code: int = field(default=126, init=False)

    @property
    def terse(self) -> Deny:
        """Say no and nothing more, for clients that are not to learn why."""
        return Deny("the server gives no reasons", confirm=self.confirm)


@dataclass(frozen=True, slots=True)
class Missing:
    """The policy says yes, and the program was not there when the file was read."""

    message: str
    rule: str
    logged: tuple[str, ...] = field(default=(), kw_only=True, compare=False)
    exit_code: int = field(default=127, init=False)


Decision = Permit | Deny | Missing
