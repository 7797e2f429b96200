"""What would be wrong with a server before it is started: looks at everything, changes nothing."""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rexec import files
from rexec.auth.authorized import parse_authorized
from rexec.errors import ConfigError, RexecError, UsageError
from rexec.limits import KEY_FILE_MAX, KEY_LIST_MAX
from rexec.policy.problems import Severity
from rexec.process import landlock, seccomp
from rexec.server import disk, provision
from rexec.server.certificate import certified_key, certified_spki
from rexec.server.confinement import account_of
from rexec.server.detached.folder import Jobs, jobs_path
from rexec.server.evidence import AUDIT as AUDIT_NAME
from rexec.server.occupants import Occupant, occupant_of_path, occupant_of_port
from rexec.server.sockets import bind
from rexec.transport.address import Address

if TYPE_CHECKING:
    from rexec.server.config import Settings

OK, WARNING, ERROR = "ok", "warning", "error"
WEIGHT = {OK: 0, WARNING: 1, ERROR: 2}
_SANE_YEARS = range(2024, 2100)
_DESCRIPTORS_FEW = 4_096  # a command takes some five, a connection one
_GET_SUBREAPER = 37  # PR_GET_CHILD_SUBREAPER


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: str
    about: str
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at all that a server with these settings would need."""
    for look in _LOOKS:
        try:
            yield from look(settings)
        except RexecError as error:
            hint = f" ({error.hint})" if error.hint else ""
            yield Finding(ERROR, look.__name__.strip("_").replace("_", " "), f"{error}{hint}")


def _home(settings: Settings) -> Iterator[Finding]:
    try:
        found = os.stat(settings.home)
    except FileNotFoundError:
        above = os.path.dirname(os.path.abspath(settings.home))
        if not os.access(above, os.W_OK):
            raise ConfigError(f"{settings.home}: is not there and cannot be made") from None
        yield Finding(WARNING, "home", f"{settings.home}: is not there yet; the first start makes it")
        return
    except (OSError, ValueError) as error:
        raise ConfigError(f"{settings.home}: {error}") from None
    mode = stat.S_IMODE(found.st_mode)
    files.ensure_home(settings.home)  # it is there: only looked at
    if mode & 0o077:
        yield Finding(WARNING, "home", f"{settings.home}: others may look into it (chmod 700)")
    else:
        yield Finding(OK, "home", f"{settings.home}, mode {mode:04o}")


def _host_key(settings: Settings) -> Iterator[Finding]:
    if settings.tls_cert is not None and settings.tls_key is not None:
        pem = files.read_trusted(settings.tls_cert, KEY_FILE_MAX).encode()
        public = certified_key(pem, settings.tls_cert)
        files.read_private(settings.tls_key)
        yield Finding(OK, "host key", f"{settings.tls_cert}, {public.fingerprint()}")
        return
    path = settings.host_key or os.path.join(settings.home, provision.HOST_KEY)
    if settings.host_key is None and files.stamp(path) is None:
        yield Finding(WARNING, "host key", f"{path}: is not there yet; the first start makes it")
        return
    key = provision.read_key(path)
    key.library_key()
    certificate = os.path.join(settings.home, provision.HOST_CERTIFICATE)
    if settings.host_key is None and not settings.no_tls and files.stamp(certificate) is not None:
        pem = files.read_trusted(certificate, KEY_FILE_MAX).encode()
        if certified_spki(pem, certificate) != key.public.spki():
            raise ConfigError(f"{certificate}: not the certificate of {path}", hint=f"rm {certificate}")
    yield Finding(OK, "host key", f"{path}, {key.public.fingerprint()}")


def _authorized_keys(settings: Settings) -> Iterator[Finding]:
    path = settings.authorized_keys or os.path.join(settings.home, provision.AUTHORIZED_KEYS)
    if files.stamp(path) is None:
        if not settings.provision:
            raise ConfigError(f"{path}: no such file", hint="rexec-server authorize NAME PUBKEY-FILE")
        yield Finding(WARNING, "authorized keys", f"{path}: is not there yet; the first start makes it")
        return
    keys = parse_authorized(files.read_trusted(path, KEY_LIST_MAX), path, provision.user_name())
    level = OK if len(keys) else WARNING
    yield Finding(
        level, "authorized keys", f"{path}, {_count(len(keys), 'key')}" + ("" if keys else ": nobody gets in")
    )
    for note in keys.notes:
        yield Finding(WARNING, "authorized keys", note)


def _allow_list(settings: Settings) -> Iterator[Finding]:
    policy = disk.load(settings.allow_list)
    warnings = [found for found in policy.warnings if found.severity is Severity.WARNING]
    hint = ": rexec-server check shows them" if warnings else ""
    counted = f"{_count(len(policy.rules), 'rule')}, {_count(len(warnings), 'warning')}"
    text = f"{settings.allow_list}, {counted}{hint}"
    yield Finding(WARNING if warnings else OK, "allow list", text)


def _clock(settings: Settings) -> Iterator[Finding]:
    now = time.time()
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if time.gmtime(now).tm_year not in _SANE_YEARS:
        raise ConfigError(f"{shown}: keys and rules that expire need the time of day")
    try:
        is_behind = os.stat(settings.allow_list).st_mtime > now + 60
    except OSError:
        is_behind = False
    if is_behind:
        yield Finding(WARNING, "clock", f"{shown}: is before the time that the allow list was written at")
    else:
        yield Finding(OK, "clock", shown)


def _kernel(settings: Settings) -> Iterator[Finding]:
    version, asks = landlock.version(), seccomp.is_available()
    text = f"Landlock {version or 'is missing'}, seccomp {'asks' if asks else 'cannot ask'}"
    level = OK if version and asks else WARNING
    yield Finding(level, "kernel", text + ("" if level == OK else ": some fences cannot be put up"))
    missing = [name for name, has in (("pidfd", _has_pidfd()), ("subreaper", _has_subreaper())) if not has]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} missing: Linux 5.4 or newer is needed")


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _has_subreaper() -> bool:
    import ctypes

    found = ctypes.c_int()
    return bool(ctypes.CDLL(None).prctl(_GET_SUBREAPER, ctypes.byref(found), 0, 0, 0) == 0)


def _listen(settings: Settings) -> Iterator[Finding]:
    for address in settings.listen:
        try:
            yield _socket_file(address, settings) if address.path else _port(address, settings)
        except RexecError as error:
            yield Finding(ERROR, "listen", f"{error}")


def _port(address: Address, settings: Settings) -> Finding:
    try:
        bind(address).close()
    except ConfigError as error:
        found = occupant_of_port(address.port) if "in use" in str(error) else None
        if found is None:
            raise
        return _taken(str(address), found, settings)
    return Finding(OK, "listen", f"{address} is free")


def _socket_file(address: Address, settings: Settings) -> Finding:
    """Look at a path without binding it, which would leave a file."""
    found = occupant_of_path(address.path)
    if found is not None:
        return _taken(str(address), found, settings)
    there = files.stamp(address.path)
    if there is not None and not stat.S_ISSOCK(os.stat(address.path).st_mode):
        raise ConfigError(f"{address}: there is a file that is no socket")
    if not os.access(os.path.dirname(os.path.abspath(address.path)), os.W_OK | os.X_OK):
        raise ConfigError(f"{address}: its directory is not there, or nothing can be made in it")
    return Finding(OK, "listen", f"{address} is free")


def _taken(where: str, found: Occupant, settings: Settings) -> Finding:
    """Judge who has an address: the server that these settings are of may well run already."""
    text = f"{where} is taken by {found.name or 'a process'}, pid {found.pid}"
    if not found.is_server:
        return Finding(ERROR, "listen", text)
    account = account_of(settings.user)
    ours = (os.geteuid(), account.uid if account is not None else os.geteuid())
    if found.uid not in ours:
        whose = "another user" if found.uid is None else provision.user_name(found.uid)
        return Finding(ERROR, "listen", f"{text}, of {whose}: look as that user, or --listen elsewhere")
    return Finding(OK, "listen", text)


def _audit(settings: Settings) -> Iterator[Finding]:
    path = settings.audit_dir or os.path.join(settings.home, AUDIT_NAME)
    place = path
    while not os.path.lexists(place) and os.path.dirname(place) != place:
        place = os.path.dirname(os.path.abspath(place))
    if not os.path.isdir(place) or not os.access(place, os.W_OK | os.X_OK):
        level = ERROR if settings.audit == "required" or settings.audit_dir else WARNING
        yield Finding(level, "audit", f"{path}: cannot be written, {place} is no directory of ours")
        return
    if place == path:
        files.ensure_home(path)  # it is there: only looked at
    yield Finding(OK, "audit", path if place == path else f"{path}, made by the first start")


def _jobs(settings: Settings) -> Iterator[Finding]:
    """Look at the place of detached commands, where there is one."""
    path = jobs_path(settings.home)
    if not os.path.lexists(path):
        return
    try:
        with Jobs(path) as jobs:
            yield Finding(OK, "jobs", f"{path}, {_count(len(jobs.ids()), 'detached command')}")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        yield Finding(WARNING, "jobs", f"{path}: {why}: no command can be detached")


def _descriptors(settings: Settings) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < _DESCRIPTORS_FEW:
        yield Finding(
            WARNING, "descriptors", f"{hard} at most: some {hard // 5} commands at once (ulimit -Hn)"
        )
    else:
        yield Finding(OK, "descriptors", f"{hard} at most")


def _user(settings: Settings) -> Iterator[Finding]:
    account = account_of(settings.user)
    if account is not None:
        yield Finding(OK, "user", f"the process with the sockets becomes {account.name}")
    elif os.geteuid() == 0:
        yield Finding(WARNING, "user", "the process with the sockets stays root (--user NAME)")
    else:
        yield Finding(OK, "user", f"all of it runs as {provision.user_name()}")


_LOOKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _home, _host_key, _authorized_keys, _allow_list, _clock, _kernel, _listen, _audit, _jobs, _descriptors,
    _user,
)  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def unsettled(error: RexecError) -> Finding:
    """Return what is wrong with settings that contradict each other or cannot be read."""
    about = "options" if isinstance(error, UsageError) else "configuration"
    return Finding(ERROR, about, f"{error}" + (f" ({error.hint})" if error.hint else ""))
