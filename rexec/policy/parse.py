"""Text -> Policy. Every problem of a file is found in one pass; any error refuses the file whole."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rexec.errors import ConfigError
from rexec.limits import INCLUDE_DEPTH, INCLUDE_FILES_MAX, POLICY_TOTAL_MAX
from rexec.policy.builtin import builtin_grant, is_builtin, read_builtin, refuse_option
from rexec.policy.decide import plain_request, possible
from rexec.policy.directives import DEFAULT_PATH, Told, read_directive
from rexec.policy.forms import COPIES, SHELL, SHELL_PATH
from rexec.policy.lint import lint
from rexec.policy.options import read_option
from rexec.policy.paths import is_canonical
from rexec.policy.patterns import read_patterns
from rexec.policy.problems import Flaw, PolicyRefused, Problem, Severity
from rexec.policy.rules import Deny, Missing, Permit, Policy, Rule
from rexec.policy.served import read_served
from rexec.policy.source import Source, foreign, refuse_controls
from rexec.policy.tokens import BLANK, Kind, scan, scan_rule
from rexec.policy.who import EVERYONE, NOBODY, read_who
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rexec.policy.directives import Assertion
    from rexec.policy.disk import Disk, Found
    from rexec.policy.grant import Grant
    from rexec.policy.served import Served
    from rexec.policy.tokens import Token

_GLOBS = "*?"  # of %include and %use
_SOURCE_SHOWN = 200  # characters of a line that is too long to show


def parse(text: str, name: str, disk: Disk) -> Policy:
    """Read an allow list; raise `PolicyRefused` with all its problems when one of them is an error."""
    return _Reader(text, name, disk).policy()


class _Above:
    """The rule above an option; one that is not sound was refused, and its options are read all the same."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.seen: set[str] = set()
        self.sound = False


class _Reader:
    """One pass over one file and what it includes."""

    def __init__(self, text: str, name: str, disk: Disk) -> None:
        self.disk = disk
        self.top = Source.of(name, "", text)
        self.told = Told(self.top, disk, self._include, self._adopt)
        self.sources: list[Source] = []
        self.open: list[str] = []  # places of the included files that are read, the innermost last
        self.rules: list[Rule] = []
        self.problems: list[Problem] = []
        self.section = EVERYONE
        self.above: _Above | None = None
        self.programs: dict[str, Found | None] = {}

    def policy(self) -> Policy:
        self._read_file(self.top)
        policy = self._built()
        if not self._has_errors():
            for assertion in self.told.assertions:
                self._hold(policy, assertion)
        self._lint(policy)
        order = {source.name: index for index, source in reversed([*enumerate(self.sources)])}
        self.problems.sort(key=lambda problem: (order[problem.name], problem.line, problem.column))
        if self._has_errors():
            raise PolicyRefused(self.problems)
        return replace(policy, warnings=tuple(self.problems))

    def _built(self) -> Policy:
        return Policy(
            name=self.top.name,
            generation=self._generation(),
            account=self.disk.account(),
            path=self._path(),
            groups=self.told.groups,
            rules=tuple(self.rules),
            strict=self.told.strict,
        )

    def _generation(self) -> str:
        """Hash the text, and behind it the name and text of each file that it includes."""
        digest = hashlib.sha256(self.top.text.encode(errors="surrogatepass"))
        for source in self.sources[1:]:
            digest.update(f"\0{source.name}\0{source.text}".encode(errors="surrogatepass"))
        return digest.hexdigest()

    def _path(self) -> tuple[str, ...]:
        return DEFAULT_PATH if self.told.path is None else self.told.path

    # --- files ------------------------------------------------------------------------------------

    def _read_file(self, source: Source) -> None:
        self.sources.append(source)
        found = foreign(source.text)
        if found is not None:  # to read on would only make noise
            self._error(source, *found)
            return
        for number, line in enumerate(source.lines, 1):
            self._read_guarded(number, line)

    def _include(self, token: Token) -> None:
        """Read the files that %include names as though they stood in its place."""
        within = self.told.source
        if len(self.open) == INCLUDE_DEPTH:
            raise Flaw(token.column, f"files include files more than {INCLUDE_DEPTH} deep")
        try:
            found = self.disk.included(token.text, within, globs=token.kind is Kind.WORD)
        except ConfigError as exc:
            raise Flaw(token.column, str(exc), exc.hint) from None
        for source in found:
            self._be_bounded(token, source)
            self._read_included(source, within)

    def _read_included(self, source: Source, within: Source) -> None:
        """Read one of them; it begins in the section of its %include, and its own end with it."""
        section = self.section
        self.told.source = source
        self.open.append(source.place)
        self._read_file(source)
        self.open.pop()
        self.told.source = within
        self.section, self.above = section, None

    def _be_bounded(self, token: Token, source: Source) -> None:
        if source.place in self.open:
            raise Flaw(token.column, f"{source.name} is included already: this is a loop")
        size = sum(len(known.text) for known in (*self.sources, source))
        if size > POLICY_TOTAL_MAX or len(self.sources) > INCLUDE_FILES_MAX:
            limit = f"{INCLUDE_FILES_MAX} files or {POLICY_TOTAL_MAX} characters"
            raise Flaw(token.column, f"more than {limit} are included")

    # --- problems ---------------------------------------------------------------------------------

    def _has_errors(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def _note(
        self, source: Source, line: int, column: int, severity: Severity, text: str, hint: str | None
    ) -> None:
        shown = source.lines[line - 1][: max(column, _SOURCE_SHOWN)]
        self.problems.append(Problem(source.name, line, column, severity, text, shown, hint))

    def _error(self, source: Source, line: int, column: int, text: str, hint: str | None = None) -> None:
        self._note(source, line, column, Severity.ERROR, text, hint)

    # --- lines ------------------------------------------------------------------------------------

    def _read_guarded(self, number: int, line: str) -> None:
        try:
            refuse_controls(line)
            self._read(number, line)
        except Flaw as flaw:
            self._error(self.told.source, number, flaw.column, flaw.text, flaw.suggestion)

    def _read(self, number: int, line: str) -> None:
        first = line[:1]
        if first in BLANK:  # an empty line too
            self._read_option(line)
        elif first == "[":
            self._read_section(line)
        elif first == "%":
            self.above = None
            globs = _GLOBS if line.startswith(("%include", "%use")) else ""
            read_directive(self.told, number, scan(line, also=globs))
        elif first != "#":
            self._read_rule(number, line)

    def _adopt(self, number: int, lines: Sequence[str]) -> None:
        """Read the rules of a profile: they stand at the line that uses it, and so do their problems."""
        for line in lines:
            try:
                self._read(number, line)
            except Flaw as flaw:
                raise Flaw(1, f"in the rules of this profile: {flaw.text}", flaw.suggestion) from None
        self.above = None

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
        above, sound = self.above, self.above.sound
        if sound:
            refuse_option(self.rules[-1].command, tokens[0])
        captured = frozenset(p.name for p in self.rules[-1].patterns if p.name) if sound else None
        above.grant = read_option(above.grant, tokens, above.seen, self.disk, captured)
        if sound:
            self.rules[-1] = replace(self.rules[-1], grant=above.grant)

    def _read_rule(self, number: int, line: str) -> None:
        self.above = _Above(self.told.grant)
        self.told.rules_began = True
        said, started = scan_rule(line)
        if not said:
            raise Flaw(1, "a rule begins with a program", "what is meant literally is quoted")
        command, *rest = said
        served = None
        if is_builtin(command):
            patterns = read_builtin(command, rest, started, self.told.sets)
            self.above.grant = builtin_grant(command.text, self.told.grant)
        else:
            _refuse_command(command, "a rule")
            if started is not None:
                _refuse_command(_first(started, line), "a server command")
            patterns = read_patterns(rest, self.told.strict or started is not None, self.told.sets)
            served = read_served(started, patterns, rest) if started else None
        rule = Rule(
            name=self.told.source.name,
            line=number,
            text=line[: (started or said)[-1].end],
            command=command.text,
            program=self._program(command.text, served),
            patterns=patterns,
            bare=not rest and served is None and not is_builtin(command),
            section=self.section,
            grant=self.above.grant,
            form=line[: said[-1].end],
            served=served,
        )
        self.rules.append(rule)
        self.above.sound = True

    def _program(self, command: str, served: Served | None) -> Found | None:
        """Find what a rule starts; a copy starts nothing."""
        if command in COPIES:
            return None
        return self._find(SHELL_PATH if command == SHELL else command if served is None else served.command)

    def _find(self, command: str) -> Found | None:
        if command not in self.programs:
            self.programs[command] = self.disk.find(command, self._path())
        return self.programs[command]

    # --- when all is read -------------------------------------------------------------------------

    def _hold(self, policy: Policy, assertion: Assertion) -> None:
        """Judge an assertion at every time and place, without and with a terminal that a rule may ask for."""
        request = plain_request(assertion.user, assertion.words)
        requests = (request, replace(request, pty="xterm"))
        decisions = [decision for request in requests for decision in possible(policy, request)]
        denials = [decision for decision in decisions if isinstance(decision, Deny)]
        allowed = [decision for decision in decisions if not isinstance(decision, Deny)]
        text = None
        if assertion.allow and not allowed:
            text = f"{assertion.user} is denied: {denials[0].message}"
        elif allowed and not assertion.allow:
            text = f"{assertion.user} is allowed this by {_label(allowed[0])}"
        if text is not None:
            self._error(assertion.source, assertion.line, assertion.column, text)

    def _lint(self, policy: Policy) -> None:
        sources = {source.name: source for source in self.sources}
        for rule, severity, text, hint in lint(policy, self.disk):
            if policy.strict and severity is Severity.WARNING:
                severity = Severity.ERROR
            self._note(sources[rule.name], rule.line, 1, severity, text, hint)


def _first(started: list[Token], line: str) -> Token:
    if not started:
        raise Flaw(len(line.rstrip(BLANK)) + 1, "the server command is missing", "a literal = is '='")
    return started[0]


def _refuse_command(token: Token, what: str) -> None:
    """Refuse what is no name and no absolute path of a program."""
    text = token.text
    if token.kind in (Kind.LIST, Kind.BRACE) or token.is_word("--") or not token.is_literal:
        raise Flaw(token.column, f"{what} begins with a program", "what is meant literally is quoted")
    if is_builtin(token):
        raise Flaw(token.column, f"{quoted(text)} is no program", "a built-in rule stands for itself")
    if not text or text in (".", "..") or text.startswith("-"):
        raise Flaw(token.column, f"{quoted(text)} names no program")
    if "/" in text and not text.startswith("/"):
        hint = "write its absolute path, or its name alone"
        raise Flaw(token.column, f"{quoted(text)} is relative: the client's directory never counts", hint)
    if "/" in text and (not is_canonical(text) or text == "/"):
        raise Flaw(token.column, f"{quoted(text)} is no program's path in its only spelling")


def _label(decision: Permit | Missing) -> str:
    return decision.rule.label if isinstance(decision, Permit) else decision.rule
