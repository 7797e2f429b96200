"""What is at a path that a copy may be meant for: whether `HOST:PATH` is a file or a directory to copy into.

Nothing is told about a path that no rule of the asker covers, itself or what would be put into it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from rexec.limits import CHECK_PATIENCE
from rexec.policy.decide import decide
from rexec.policy.forms import settled
from rexec.policy.paths import matches
from rexec.policy.request import text_of
from rexec.policy.rules import Permit
from rexec.process.account import become, is_ours
from rexec.process.bounded import answer_within
from rexec.process.checks import leads_to

if TYPE_CHECKING:
    from rexec.policy.request import Request
    from rexec.policy.rules import PathCheck, Policy


def kind(policy: Policy, request: Request) -> bytes:
    """Answer `@put NAME PATH`: directory, file, other or none; empty where it is not for the asker to know.

    NAME is what is to be put into PATH, should that be a directory.
    """
    request = settled(request)
    if request.flaw or len(request.options) > 1:
        return b""
    way, path = request.words
    inside = [f"{path}/{name}" for name in request.options if name and "/" not in name]
    for words in ((way, path), *((way, place) for place in inside)):
        found = decide(policy, replace(request, words=words, options=()))
        if isinstance(found, Permit) and found.checks:
            return _looked_at(found, is_inside=words[1] != path)
    return b""


def _looked_at(permit: Permit, *, is_inside: bool) -> bytes:
    """Look as the account that would copy, in a process that can be given up."""

    def look() -> bytes:
        if not (permit.grant.run_as is None or is_ours(permit.account)):
            become(permit.account)
        try:
            return _kind(permit.checks[0], is_inside=is_inside)
        except FileNotFoundError:
            return b"none"
        except OSError:
            return b""

    return answer_within(CHECK_PATIENCE, look) or b""


def _kind(check: PathCheck, *, is_inside: bool) -> bytes:
    path = os.path.dirname(check.path) if is_inside else check.path
    glob, real = leads_to(check, path)
    name = os.path.basename(check.path) if is_inside else ""
    if not matches(glob, text_of(real) if not name else os.path.join(text_of(real), name)):
        return b""
    mode = os.stat(real).st_mode
    return b"directory" if stat.S_ISDIR(mode) else b"file" if stat.S_ISREG(mode) else b"other"
