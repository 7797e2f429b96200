"""The options of a rule: one row of a table each; a row turns its line into a changed grant."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from rexec.limits import CONFIRM_MAX
from rexec.policy import quantities, variables
from rexec.policy.accounts import read_account
from rexec.policy.fences import read_best_effort, read_confine, read_exec_only, read_noexec
from rexec.policy.networks import read_networks
from rexec.policy.optionlines import OptionLine, absolute
from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.when import read_until, read_window
from rexec.policy.who import read_who
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rexec.policy.disk import Disk
    from rexec.policy.grant import Grant
    from rexec.policy.tokens import Token

    Read = Callable[[Grant, OptionLine], Grant]

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


class Option(NamedTuple):
    """A row: how the option is read, whether it may repeat or stand in %default, and what it rules out."""

    read: Read
    repeats: bool = False
    default: bool = False
    excludes: str = ""


def read_option(
    grant: Grant,
    tokens: Sequence[Token],
    seen: set[str],
    disk: Disk,
    captured: frozenset[str] | None = None,
) -> Grant:
    """Read one option line into a new grant; `seen` are the options that the rule had so far."""
    word, *values = tokens
    option = OPTIONS.get(word.text) if word.kind is Kind.WORD else None
    if option is None:
        name = word.text.partition("=")[0]  # timeout=5s
        near = name if name in OPTIONS else closest(word.text, OPTIONS)
        text = f"option {quoted(word.text)} is not known to this version"
        raise Flaw(word.column, text, f"did you mean {near}?" if near else None)
    if word.text in seen and not option.repeats:
        raise Flaw(word.column, f"{word.text} stands twice for one rule")
    if option.excludes in seen:
        raise Flaw(word.column, f"{word.text} and {option.excludes} exclude each other")
    seen.add(word.text)
    return option.read(grant, OptionLine(word, values, disk, captured))


def read_default(grant: Grant, tokens: Sequence[Token], disk: Disk) -> Grant:
    """Read what stands behind %default into the grant that rules begin with."""
    word = tokens[0]
    option = OPTIONS.get(word.text) if word.kind is Kind.WORD else None
    if option is not None and not option.default:
        names = " ".join(name for name, row in OPTIONS.items() if row.default)
        raise Flaw(word.column, f"%default does not take {word.text}", f"it takes {names}")
    return read_option(grant, tokens, set(), disk)


def _about(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, about=line.only("one text in quotes").text)


def _for(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, whom=read_who(line.values, line.word.column))


# --- when and from where --------------------------------------------------------------------------


def _from(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, sources=read_networks(line.some("addresses or networks")))


def _when(grant: Grant, line: OptionLine) -> Grant:
    window = read_window(line.some("days or a span of the day"))
    return replace(grant, windows=(*grant.windows, window))


def _until(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, until=read_until(line.only("a date")))


# --- as whom, where and how -----------------------------------------------------------------------


def _as(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, run_as=read_account(line))


def _cwd(grant: Grant, line: OptionLine) -> Grant:
    if line.values and line.values[0].is_word("ask"):
        return _cwd_ask(grant, line._replace(word=line.values[0], values=line.values[1:]))
    path = absolute(line.only("a directory"), "a directory")
    if grant.cwd is not None:
        raise Flaw(line.word.column, "cwd stands twice for one rule")
    return replace(grant, cwd=path)


def _cwd_ask(grant: Grant, line: OptionLine) -> Grant:
    if grant.cwd_ask is not None:
        raise Flaw(line.word.column, "cwd ask stands twice for one rule")
    if not line.values:
        return replace(grant, cwd_ask="/")
    tree = line.only("one ROOT/**")
    root = tree.text.removesuffix("/**") or "/"
    if root == tree.text or not is_canonical(root):
        text = f"{quoted(tree.text)} is not ROOT/** with an absolute ROOT"
        raise Flaw(tree.column, text, "cwd ask '/srv/**'")
    return replace(grant, cwd_ask=root)


def _umask(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, umask=quantities.umask(line.only("an octal mask")))


def _nice(grant: Grant, line: OptionLine) -> Grant:
    token = line.only("a number")
    nice = quantities.count(token, -20, 19)
    if nice < 0 and line.disk.account().uid != 0:
        raise Flaw(token.column, "only a server that runs as root can raise a priority", "nice 0 to nice 19")
    return replace(grant, nice=nice)


def _pty(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, pty=line.choice("no", "yes", "only"))


def _detach(grant: Grant, line: OptionLine) -> Grant:
    line.bare()
    return replace(grant, detach=True)


def _background(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, background_keep=line.choice("kill", "keep") == "keep")


# --- how much and how long ------------------------------------------------------------------------


def _timeout(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, timeout=quantities.duration(line.only("a duration")))


def _resume(grant: Grant, line: OptionLine) -> Grant:
    token = line.only("no or a duration")
    return replace(grant, resume=0.0 if token.is_word("no") else quantities.duration(token))


def _idempotent(grant: Grant, line: OptionLine) -> Grant:
    line.bare()
    return replace(grant, idempotent=True)


def _idle(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, idle=quantities.duration(line.only("a duration")))


def _limit(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, limits=quantities.limits(line))


def _output(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, output=quantities.output(line))


def _stdin(grant: Grant, line: OptionLine) -> Grant:
    what = "no, yes or a size"
    token = line.only(what)
    if token.text[:1].isdigit():
        return replace(grant, stdin=True, stdin_max=quantities.size(token))
    return replace(grant, stdin=line.choice("no", "yes", what=what) == "yes", stdin_max=None)


def _parallel(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, parallel=quantities.count(line.only("a number"), 1, quantities.COUNT_MAX))


def _rate(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, rate=quantities.rate(line.only("a rate")))


# --- what is held, and what is seen ---------------------------------------------------------------


def _sha256(grant: Grant, line: OptionLine) -> Grant:
    token = line.only("64 hex digits")
    if _DIGEST.fullmatch(token.text) is None:
        raise Flaw(token.column, f"{quoted(token.text)} is not 64 hex digits", "sha256sum prints them")
    return replace(grant, sha256=token.text.lower())


def _record(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, record=line.choice("no", "out", "io"))


def _redact(grant: Grant, line: OptionLine) -> Grant:
    for value in line.some("names of captured values"):
        if line.captured is not None and value.text not in line.captured:
            near = closest(value.text, line.captured)
            hint = f"did you mean {near}?" if near else "a pattern captures by {name=type}"
            raise Flaw(value.column, f"the rule captures nothing by the name {quoted(value.text)}", hint)
    return replace(grant, redact=grant.redact.union(value.text for value in line.values))


def _confirm(grant: Grant, line: OptionLine) -> Grant:
    token = line.only("one text in quotes")
    if not token.text.strip() or len(token.text) > CONFIRM_MAX:
        raise Flaw(token.column, f"nobody can type this: 1 to {CONFIRM_MAX} characters are asked for")
    return replace(grant, confirm=token.text)


def _danger(grant: Grant, line: OptionLine) -> Grant:
    return replace(grant, danger=line.choice("low", "high"))


OPTIONS: dict[str, Option] = {
    "about": Option(_about),
    "as": Option(_as),
    "background": Option(_background, default=True),
    "best-effort": Option(read_best_effort),
    "confine": Option(read_confine),
    "confirm": Option(_confirm),
    "cwd": Option(_cwd, repeats=True),  # cwd DIR and cwd ask, each once
    "danger": Option(_danger),
    "detach": Option(_detach),
    "env": Option(variables.read_env, repeats=True),
    "exec-only": Option(read_exec_only, excludes="noexec"),
    "for": Option(_for),
    "from": Option(_from),
    "idempotent": Option(_idempotent),
    "idle": Option(_idle, default=True),
    "limit": Option(_limit, default=True),
    "nice": Option(_nice, default=True),
    "noexec": Option(read_noexec, default=True, excludes="exec-only"),
    "output": Option(_output, default=True),
    "parallel": Option(_parallel, default=True),
    "pty": Option(_pty, default=True),
    "rate": Option(_rate, default=True),
    "record": Option(_record, default=True),
    "redact": Option(_redact, repeats=True),
    "resume": Option(_resume),
    "sha256": Option(_sha256),
    "stdin": Option(_stdin, default=True),
    "timeout": Option(_timeout, default=True),
    "umask": Option(_umask, default=True),
    "until": Option(_until),
    "when": Option(_when, repeats=True),
}
