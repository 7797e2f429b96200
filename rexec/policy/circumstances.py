"""From where and when a rule is there at all: ``from``, ``when`` and ``until``.

Like the people that a rule is for, they decide which rule matches: outside of them a request goes on
to the rules below.
"""

from __future__ import annotations

from rexec.policy.networks import is_from
from rexec.policy.when import is_open, shown_moment
from rexec.policy.wording import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.grant import Grant
    from rexec.policy.request import Request


def is_bound(grant: Grant) -> bool:
    """Tell whether a rule is not there from everywhere and always."""
    return bool(grant.sources or grant.windows) or grant.until is not None


def outside(grant: Grant, request: Request) -> str | None:
    """Say why a rule is not there for a request; None: it is."""
    if grant.sources and not is_from(grant.sources, request.peer):
        networks = shown(" ".join(map(str, grant.sources)))
        return f"is for {networks}, not for {shown(request.peer or 'a unix socket')}"
    local = request.now + request.utc_offset
    if grant.windows and not any(is_open(window, local) for window in grant.windows):
        return f"is for {shown(' or '.join(window.text for window in grant.windows))}"
    if grant.until is not None and request.now >= grant.until:
        return f"was for the time before {shown_moment(grant.until + request.utc_offset)}"
    return None
