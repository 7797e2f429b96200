"""Text -> Policy. Every problem of a file is found in one pass; any error refuses the file whole."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rexec.limits import POLICY_LINE_MAX, POLICY_MAX
from rexec.policy.arguments import read_patterns
from rexec.policy.decide import decide, plain_request
from rexec.policy.directives import DEFAULT_PATH, Told, read_directive
from rexec.policy.grant import PLAIN
from rexec.policy.lint import lint
from rexec.policy.options import read_option
from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw, PolicyRefused, Problem, Severity
from rexec.policy.rules import Deny, Missing, Permit, Policy, Rule
from rexec.policy.tokens import BLANK, Kind, scan
from rexec.policy.who import EVERYONE, NOBODY, read_who
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.directives import Assertion
    from rexec.policy.disk import Disk, Found
    from rexec.policy.tokens import Token

_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SOURCE_SHOWN = 200  # characters of a line that is too long to show


def parse(text: str, name: str, disk: Disk) -> Policy:
    """Read an allow list; raise `PolicyRefused` with all its problems when one of them is an error."""
    return _Reader(text, name, disk).policy()


class _Above:
    """The rule above an option; one that is not sound was refused, and its options are read all the same."""

    def __init__(self) -> None:
        self.grant = PLAIN
        self.seen: set[str] = set()
        self.sound = False


class _Reader:
    """One pass over one file."""

    def __init__(self, text: str, name: str, disk: Disk) -> None:
        self.text = text
        self.name = name
        self.disk = disk
        self.lines = text.split("\n")
        self.told = Told()
        self.rules: list[Rule] = []
        self.problems: list[Problem] = []
        self.section = EVERYONE
        self.above: _Above | None = None
        self.programs: dict[str, Found | None] = {}

    def policy(self) -> Policy:
        self._refuse_foreign()
        for number, line in enumerate(self.lines, 1):
            self._read_guarded(number, line)
        policy = self._built()
        if not self._has_errors():
            for assertion in self.told.assertions:
                self._hold(policy, assertion)
        self._lint(policy)
        self.problems.sort(key=lambda problem: (problem.line, problem.column))
        if self._has_errors():
            raise PolicyRefused(self.problems)
        return replace(policy, warnings=tuple(self.problems))

    def _built(self) -> Policy:
        return Policy(
            name=self.name,
            generation=hashlib.sha256(self.text.encode()).hexdigest(),
            account=self.disk.account(),
            path=self._path(),
            groups=self.told.groups,
            rules=tuple(self.rules),
            strict=self.told.strict,
        )

    def _path(self) -> tuple[str, ...]:
        return DEFAULT_PATH if self.told.path is None else self.told.path

    # --- problems ---------------------------------------------------------------------------------

    def _has_errors(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def _note(self, line: int, column: int, severity: Severity, text: str, hint: str | None) -> None:
        source = self.lines[line - 1][: max(column, _SOURCE_SHOWN)]
        self.problems.append(Problem(self.name, line, column, severity, text, source, hint))

    def _error(self, line: int, column: int, text: str, hint: str | None = None) -> None:
        self._note(line, column, Severity.ERROR, text, hint)

    def _refuse_foreign(self) -> None:
        """Refuse at once what is no text of the agreed form: to read on would only make noise."""
        found = self._foreign()
        if found is not None:
            self._error(*found)
            raise PolicyRefused(self.problems)

    def _foreign(self) -> tuple[int, int, str] | None:
        try:
            size = len(self.text.encode())
        except UnicodeEncodeError as exc:
            before = self.text[: exc.start]
            return before.count("\n") + 1, exc.start - before.rfind("\n"), "this is not UTF-8"
        if size > POLICY_MAX:
            return 1, 1, f"the file has {size} bytes, more than {POLICY_MAX}"
        if self.text.startswith("\ufeff"):
            return 1, 1, "a byte order mark stands in front: write plain UTF-8"
        return None

    # --- lines ------------------------------------------------------------------------------------

    def _read_guarded(self, number: int, line: str) -> None:
        try:
            _refuse_controls(line)
            self._read(number, line)
        except Flaw as flaw:
            self._error(number, flaw.column, flaw.text, flaw.suggestion)

    def _read(self, number: int, line: str) -> None:
        first = line[:1]
        if first in BLANK:  # an empty line too
            self._read_option(line)
        elif first == "[":
            self._read_section(line)
        elif first == "%":
            self.above = None
            read_directive(self.told, number, scan(line))
        elif first != "#":
            self._read_rule(number, line)

    def _read_section(self, line: str) -> None:
        self.above = None
        self.section = NOBODY  # where the names are bad: the file is refused, the rules are read on
        who, *rest = scan(line)
        if rest or who.modifier:
            column = rest[0].column if rest else who.end
            raise Flaw(column, "a section stands alone in its line", "a program [ is written '['")
        self.section = read_who(scan(line[: who.end - 1], 1), 2)

    def _read_option(self, line: str) -> None:
        tokens = scan(line, also="*")
        if not tokens:
            return
        if self.above is None:
            hint = "a rule begins in the first column"
            raise Flaw(tokens[0].column, "an option without a rule above it", hint)
        self.above.grant = read_option(self.above.grant, tokens, self.above.seen)
        if self.above.sound:
            self.rules[-1] = replace(self.rules[-1], grant=self.above.grant)

    def _read_rule(self, number: int, line: str) -> None:
        self.above = _Above()
        self.told.rules_began = True
        command, *rest = scan(line)
        _refuse_command(command)
        rule = Rule(
            name=self.name,
            line=number,
            text=line[: (rest or [command])[-1].end],
            command=command.text,
            program=self._find(command.text),
            patterns=read_patterns(rest, self.told.strict),
            bare=not rest,
            section=self.section,
        )
        self.rules.append(rule)
        self.above.sound = True

    def _find(self, command: str) -> Found | None:
        if command not in self.programs:
            self.programs[command] = self.disk.find(command, self._path())
        return self.programs[command]

    # --- when all is read -------------------------------------------------------------------------

    def _hold(self, policy: Policy, assertion: Assertion) -> None:
        """Put an assertion to `decide`, without and with a terminal, since a rule may ask for one."""
        request = plain_request(assertion.user, assertion.words)
        decisions = [decide(policy, request), decide(policy, replace(request, pty="xterm"))]
        denials = [decision for decision in decisions if isinstance(decision, Deny)]
        allowed = [decision for decision in decisions if not isinstance(decision, Deny)]
        text = None
        if assertion.allow and not allowed:
            text = f"{assertion.user} is denied: {denials[0].message}"
        elif allowed and not assertion.allow:
            text = f"{assertion.user} is allowed this by {_label(allowed[0])}"
        if text is not None:
            self._error(assertion.line, assertion.column, text)

    def _lint(self, policy: Policy) -> None:
        for rule, severity, text, hint in lint(policy, self.disk):
            if policy.strict and severity is Severity.WARNING:
                severity = Severity.ERROR
            self._note(rule.line, 1, severity, text, hint)


def _refuse_controls(line: str) -> None:
    """Refuse what no line may hold anywhere, comments included: it would hide the rest from a reader."""
    if len(line) > POLICY_LINE_MAX or len(line.encode()) > POLICY_LINE_MAX:
        raise Flaw(1, f"the line has {len(line.encode())} bytes, more than {POLICY_LINE_MAX}")
    if line.isascii() and line.isprintable():
        return
    for index, char in enumerate(line):
        if char == "\r":
            raise Flaw(
                index + 1, "a carriage return: lines end with a newline alone", "sed -i 's/\\r$//' FILE"
            )
        if (char < " " and char != "\t") or "\x7f" <= char < "\xa0":
            raise Flaw(index + 1, f"a control character {quoted(char)}")
        if char in _REORDERING:
            raise Flaw(index + 1, f"a mark {quoted(char)} that changes the order in which text is shown")


def _refuse_command(token: Token) -> None:
    """Refuse what is no name and no absolute path of a program."""
    text = token.text
    if token.kind in (Kind.LIST, Kind.BRACE) or token.is_word("--") or not token.is_literal:
        raise Flaw(token.column, "a rule begins with a program", "what is meant literally is quoted")
    if token.kind is Kind.WORD and text.startswith("@"):
        raise Flaw(token.column, f"the built-in rule {quoted(text)} is not known to this version")
    if not text or text in (".", "..") or text.startswith("-"):
        raise Flaw(token.column, f"{quoted(text)} names no program")
    if "/" in text and not text.startswith("/"):
        hint = "write its absolute path, or its name alone"
        raise Flaw(token.column, f"{quoted(text)} is relative: the client's directory never counts", hint)
    if "/" in text and (not is_canonical(text) or text == "/"):
        raise Flaw(token.column, f"{quoted(text)} is no program's path in its only spelling")


def _label(decision: Permit | Missing) -> str:
    return decision.rule.label if isinstance(decision, Permit) else decision.rule
