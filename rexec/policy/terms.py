"""What a rule grants, in the words of its options, as people compare and read it.

Only what differs from a plain rule is said.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rexec.policy.grant import PLAIN, Fence, Grant
from rexec.policy.spelling import in_quotes, spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.disk import Account
    from rexec.policy.who import Who

_PERIODS = {1: "s", 60: "min", 3600: "h", 86_400: "d"}
_UNITS = (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))


def terms(grant: Grant) -> dict[str, str]:
    """Give the options of a rule, each with what stands behind it; "" for one that stands alone."""
    said = {
        **_circumstances(grant),
        **_place(grant),
        **_bounds(grant),
        **_evidence(grant),
        **_fence(grant.fence),
    }
    return {name: text for name, text in said.items() if text is not None}


def _circumstances(grant: Grant) -> dict[str, str | None]:
    return {
        "for": None if grant.whom == PLAIN.whom else who(grant.whom),
        "from": " ".join(map(str, grant.sources)) or None,
        "when": " or ".join(window.text for window in grant.windows) or None,
        "until": None if grant.until is None else _moment(grant.until),
        "confirm": None if grant.confirm is None else in_quotes(grant.confirm),
        "parallel": _number(grant.parallel),
        "rate": None if grant.rate is None else f"{grant.rate.starts}/{_PERIODS[grant.rate.seconds]}",
        "sha256": grant.sha256,
    }


def _place(grant: Grant) -> dict[str, str | None]:
    asked = None if grant.cwd_ask is None else "" if grant.cwd_ask == "/" else spelled_glob(grant.cwd_ask)
    return {
        "as": None if grant.run_as is None else account(grant.run_as),
        "cwd": None if grant.cwd is None else spelled(grant.cwd),
        "cwd ask": asked,
        "env": " ".join(spelled(f"{name}={value}") for name, value in grant.env_set) or None,
        "env pass": " ".join(grant.env_pass) or None,
        "umask": None if grant.umask == PLAIN.umask else f"{grant.umask:03o}",
        "nice": _number(grant.nice),
        "pty": None if grant.pty == PLAIN.pty else grant.pty,
        "stdin": _stdin(grant),
        "background": "keep" if grant.background_keep else None,
        "detach": "" if grant.detach else None,
    }


def _bounds(grant: Grant) -> dict[str, str | None]:
    found = grant.limits._asdict()
    limits = [f"{name}={_limit(name, value)}" for name, value in found.items() if value is not None]
    output = grant.output
    return {
        "timeout": _duration(grant.timeout),
        "idle": _duration(grant.idle),
        "resume": "no" if grant.resume == 0 else _duration(grant.resume),
        "idempotent": "" if grant.idempotent else None,
        "limit": " ".join(limits) or None,
        "output": None if output is None else f"{size(output.size)} {'kill' if output.kill else 'truncate'}",
    }


def _evidence(grant: Grant) -> dict[str, str | None]:
    return {
        "record": None if grant.record == PLAIN.record else grant.record,
        "redact": " ".join(sorted(grant.redact)) or None,
        "danger": grant.danger or None,
        "about": in_quotes(grant.about) if grant.about else None,
    }


def _fence(fence: Fence) -> dict[str, str | None]:
    ro, rw = (
        " ".join([word, *map(spelled, paths)]) if paths else ""
        for word, paths in (("ro", fence.ro), ("rw", fence.rw))
    )
    confined = " ".join(filter(None, [ro, rw, "" if fence.net else "net none"]))
    return {
        "noexec": "" if fence.noexec else None,
        "exec-only": None if fence.exec_only is None else " ".join(map(spelled, fence.exec_only)),
        "confine": confined if fence.confined else None,
        "best-effort": "" if fence.best_effort else None,
    }


def who(people: Who) -> str:
    """Write the people of a section or of ``for``."""
    if people.everyone:
        return "everyone"
    return " ".join([*sorted(people.users), *sorted(f"@{group}" for group in people.groups)])


def account(found: Account) -> str:
    """Name an account with the numbers that count."""
    return f"{found.name} (uid {found.uid}, gid {found.gid})"


def spelled_glob(root: str) -> str:
    """Write the tree beneath a directory."""
    return f"{spelled(root)}/**" if "'" not in spelled(root) else in_quotes(f"{root}/**")


def size(number: int) -> str:
    """Write bytes with the largest unit that is exact."""
    unit, factor = next(((unit, factor) for unit, factor in _UNITS if number % factor == 0), ("", 1))
    return f"{number // factor}{unit}"


def _stdin(grant: Grant) -> str | None:
    if not grant.stdin:
        return "no"
    return None if grant.stdin_max is None else size(grant.stdin_max)


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"


def _limit(name: str, value: int) -> str:
    return f"{value}s" if name == "cpu" else size(value) if name in ("mem", "fsize") else str(value)


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")
