"""What was asked for -> the words that rules are held against, by the form in which it was asked.

An argument vector stands for itself, and cannot ask for a built-in rule. A string is split by the published
rule, and what has shell syntax in it only ``@shell`` can take. A subsystem is the name of a rule. A copy asks
for ``@get`` or ``@put`` with the path behind it; who asks for ``@attach``, ``@logs`` or ``@kill`` means a
detached command, by its id.
"""

from __future__ import annotations

from dataclasses import replace

from rexec.policy.splitting import split
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.request import Request
    from rexec.policy.rules import Rule

GET, PUT, SHELL = "@get", "@put", "@shell"
SHELL_PATH = "/bin/sh"
COPIES = frozenset((GET, PUT))
BUILTIN = frozenset((*COPIES, SHELL))
ATTACH, LOGS, KILL = "@attach", "@logs", "@kill"
JOBS = {ATTACH: (), LOGS: ("-f",), KILL: ()}  # what may be done with a detached command, and its options

SETTLED = ""  # the form of a request whose words are those that rules are held against
_SUBSYSTEMS = {"sftp": "sftp-server"}  # names that RFC 4254 clients say, and the rule that is meant


def form_of(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Say in which form somebody who writes `words` down would ask for them: `@get PATH`, `@shell STRING`."""
    if words[:1] == (SHELL,):
        return "string", (" ".join(words[1:]),)
    return ("copy" if words and words[0] in COPIES else "argv"), words


def settled(request: Request) -> Request:
    """Read the words of a request by its form; `flaw` says what no rule could ever take."""
    match request.form:
        case "":
            return request
        case "argv":
            flaw = _built_in(request.words)  # without one, the words are what they are: nothing is copied
            return replace(request, form=SETTLED, flaw=flaw) if flaw else request
        case "string":
            return _split(request)
        case "subsystem":
            words = tuple(_SUBSYSTEMS.get(word, word) for word in request.words)
            flaw = "" if len(words) == 1 and words[0] not in BUILTIN else "a subsystem is one name"
            return replace(request, form=SETTLED, words=words, flaw=flaw)
        case "copy":
            words = request.words
            if len(words) < 2 or words[0] not in COPIES:
                return replace(request, form=SETTLED, flaw="a copy is @get or @put and a path")
            return replace(request, form=SETTLED, words=(words[0], words[-1]), options=words[1:-1])
        case "job":
            return _about_job(request)
        case _:
            flaw = f"a command of the form {quoted(request.form)} is not known to this server"
            return replace(request, form=SETTLED, flaw=flaw)


def _split(request: Request) -> Request:
    if len(request.words) != 1:
        return replace(request, form=SETTLED, flaw="a command line is one string")
    (text,) = request.words
    found = split(text)
    if found.flaw or found.shell:
        flaw = f"{quoted(text)}: it has {found.flaw}" if found.flaw else ""
        return replace(request, form=SETTLED, words=(SHELL, text), flaw=flaw)
    return replace(request, form=SETTLED, words=found.words, line=text, flaw=_built_in(found.words))


def _about_job(request: Request) -> Request:
    way, *options, name = request.words if len(request.words) > 1 else ("", "")
    flaw = request.flaw
    if way not in JOBS or not {*options} <= {*JOBS[way]}:
        flaw = "what may be done with a detached command is @attach ID, @logs [-f] ID or @kill ID"
    elif request.job is None and not flaw:
        flaw = f"{quoted(name)} is no detached command of yours"
    return replace(request, form=SETTLED, flaw=flaw, options=tuple(options))


def _built_in(words: tuple[str, ...]) -> str:
    """Say of words that name a built-in rule that nobody asks for one so."""
    is_one = bool(words) and words[0] in BUILTIN
    return f"{quoted(words[0])} is a built-in rule and no command" if is_one else ""


def seen_by(rule: Rule, request: Request) -> Request:
    """Give the request as a rule sees it: ``@shell`` takes the string as it came."""
    if rule.command == SHELL and request.line is not None:
        return replace(request, words=(SHELL, request.line), line=None)
    return request


def needs_shell(request: Request) -> str:
    """Say what of a string only a shell could do; "" where it is plain words, or no string."""
    return split(request.words[1]).shell if request.words[:1] == (SHELL,) and len(request.words) == 2 else ""
