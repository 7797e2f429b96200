"""The environment of a child: built from nothing, then what the rule passes and what it sets.

Some names are never taken from a client, whatever a rule says: those by which a loader, a shell, an
interpreter or a library runs code or takes files of somebody's choice before the program's first own
line, and those that say who and what rexec found.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rexec.policy.request import Request
    from rexec.policy.rules import Policy, Rule

OURS = "REXEC_"
NEVER_PREFIXES = (
    OURS,
    "LD_",  # the loader: LD_PRELOAD, LD_LIBRARY_PATH, LD_AUDIT and all their kin
    "DYLD_",  # the same of macOS
    "BASH_FUNC_",  # functions of bash (CVE-2014-6271)
    "PYTHON",
    "PERL5",
    "RUBY",
    "MALLOC_",
)
_NEVER_ROWS = """
ours       PATH HOME USER LOGNAME SHELL
shells     IFS CDPATH ENV BASH_ENV BASHOPTS SHELLOPTS PS4 PROMPT_COMMAND FPATH ZDOTDIR
languages  PERLLIB PERLIO_DEBUG PERL_SIGNALS NODE_OPTIONS NODE_PATH LUA_INIT LUA_PATH LUA_CPATH
languages  JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH
languages  PHPRC PHP_INI_SCAN_DIR AWKPATH AWKLIBPATH
glibc      GCONV_PATH GETCONF_DIR GLIBC_TUNABLES HOSTALIASES LOCPATH NIS_PATH NLSPATH
glibc      RESOLV_HOST_CONF RES_OPTIONS LOCALDOMAIN
openssl    OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES
"""
NEVER = frozenset(name for row in _NEVER_ROWS.strip().splitlines() for name in row.split()[1:])

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_variable(name: str) -> bool:
    """Tell whether a shell and everything else would take `name` for a variable."""
    return _NAME.fullmatch(name) is not None


def never_passes(name: str) -> bool:
    """Tell whether no rule can let a client set `name`."""
    return name in NEVER or name.startswith(NEVER_PREFIXES)


def is_glob(pattern: str) -> bool:
    """Tell whether `pattern` is a name with a ``*`` behind it, the only glob there is."""
    return pattern.endswith("*") and is_variable(pattern[:-1])


def is_hopeless(pattern: str) -> bool:
    """Tell whether a name or glob can only stand for variables that never pass."""
    return never_passes(pattern) if not is_glob(pattern) else pattern.startswith(NEVER_PREFIXES)


def passes(patterns: Iterable[str], name: str) -> bool:
    """Tell whether a client may set `name` where a rule passes `patterns`."""
    if never_passes(name):
        return False
    return any(name.startswith(pattern[:-1]) if is_glob(pattern) else name == pattern for pattern in patterns)


def child_environment(policy: Policy, rule: Rule, request: Request) -> tuple[tuple[str, str], ...]:
    """Build the whole environment of a child; what the client asks for was judged before."""
    account = policy.account_of(rule)
    variables = {
        "PATH": ":".join(policy.path),
        "LANG": "C.UTF-8",
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/sh",
        "PAGER": "cat",
    }
    if request.pty is not None:
        variables["TERM"] = request.pty or "dumb"
    variables.update(request.env)
    for name, value in request.offered:
        if is_variable(name) and passes(rule.grant.env_pass, name) and "\0" not in value:
            variables[name] = value
    variables.update(rule.grant.env_set)
    variables["REXEC_USER"] = request.user
    variables["REXEC_CONNECTION"] = request.connection
    variables["REXEC_RULE"] = rule.label
    return tuple(variables.items())
