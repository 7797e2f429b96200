"""``noexec``, ``exec-only``, ``confine`` and ``best-effort``: what the kernel is asked to hold."""

from __future__ import annotations

from dataclasses import replace

from rexec.policy.optionlines import absolute
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.grant import Fence, Grant
    from rexec.policy.optionlines import OptionLine
    from rexec.policy.tokens import Token

LANDLOCK = "landlock"
SECCOMP = "seccomp"


def read_noexec(grant: Grant, line: OptionLine) -> Grant:
    line.bare()
    return replace(grant, fence=grant.fence._replace(noexec=True, exec_only=None))


def read_exec_only(grant: Grant, line: OptionLine) -> Grant:
    values = line.some("paths of programs")
    programs = tuple(absolute(value, "the path of a program") for value in values)
    return replace(grant, fence=grant.fence._replace(noexec=False, exec_only=programs))


def read_best_effort(grant: Grant, line: OptionLine) -> Grant:
    line.bare()
    return replace(grant, fence=grant.fence._replace(best_effort=True))


def read_confine(grant: Grant, line: OptionLine) -> Grant:
    """Read ``confine [ro PATH...] [rw PATH...] [net none]``, the three in any order, each once."""
    paths: dict[str, list[str]] = {}
    net = True
    part = ""
    values = iter(line.values)
    for value in values:
        if value.is_word("net") and net:
            none = next(values, None)
            if none is None or not none.is_word("none"):
                raise Flaw((none or value).column, "net needs none", "confine net none")
            net, part = False, ""
        elif (value.is_word("ro") or value.is_word("rw")) and value.text not in paths:
            part = value.text
            paths[part] = []
        elif not part:
            raise Flaw(value.column, "ro, rw or net none is expected here", "confine ro /srv rw /srv/in")
        else:
            paths[part].append(_tree(value))
    if not all(paths.values()):
        raise Flaw(line.word.column, "ro and rw need paths", "confine ro /srv rw /srv/in")
    ro, rw = (tuple(paths.get(part, ())) for part in ("ro", "rw"))
    return replace(grant, fence=grant.fence._replace(confined=True, net=net, ro=ro, rw=rw))


def _tree(token: Token) -> str:
    path = absolute(token, "an absolute path")
    if token.kind is Kind.WORD and "*" in path:
        text = f"{quoted(path)} is a pattern: a directory stands for all below it"
        raise Flaw(token.column, text, "confine ro /srv")
    return path


def needs(fence: Fence) -> Iterator[tuple[str, str]]:
    """Name what a fence asks for, each with the feature of the kernel that holds it."""
    if fence.noexec:
        yield "noexec", SECCOMP
    if fence.exec_only is not None:
        yield "exec-only", SECCOMP
        yield "exec-only", LANDLOCK
    if fence.confined:
        yield "confine", LANDLOCK
    if not fence.net:
        yield "net none", SECCOMP
