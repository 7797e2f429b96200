"""What a server is told: the options of `rexec-server`, each with its default."""

from __future__ import annotations

from rexec.errors import UsageError
from rexec.limits import (
    AUDIT_SIZE,
    AUDIT_SIZE_MIN,
    COMMANDS_PER_USER,
    DRAIN,
    GRACE,
    JOBS_KEPT,
    KEEPALIVE_IDLE,
    RESUME_RESET,
    RESUME_SILENCE,
    SESSIONS_PER_USER,
    STRANGERS,
    STRANGERS_PER_SOURCE,
)
from rexec.transport.address import parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.transport.address import Address

DEFAULT_LISTEN = "127.0.0.1:5512"
AUDIT = ("best-effort", "required")  # what a log that cannot be written means


EXEMPT = ("127.0.0.0/8", "::1/128")  # behind a tunnel or a proxy of this machine, all come from there
COUNT_MAX = 1_000_000  # that a setting may say


class Crowds:
    """How many of everything there may be, and who is never shut out."""

    __slots__ = (
        "commands_per_user",
        "penalty_exempt",
        "sessions_per_user",
        "strangers",
        "strangers_per_source",
    )

    def __init__(
        self,
        *,
        strangers: int = STRANGERS,
        strangers_per_source: int = STRANGERS_PER_SOURCE,
        sessions_per_user: int = SESSIONS_PER_USER,
        commands_per_user: int = COMMANDS_PER_USER,
        penalty_exempt: tuple[str, ...] = EXEMPT,
    ) -> None:
        self.strangers = _count("max-strangers", strangers)
        self.strangers_per_source = _count("max-strangers-per-source", strangers_per_source)
        self.sessions_per_user = _count("max-sessions", sessions_per_user)
        self.commands_per_user = _count("max-commands", commands_per_user)
        self.penalty_exempt = tuple(map(_network, penalty_exempt))


def _count(option: str, number: int) -> int:
    if not 0 < number <= COUNT_MAX:
        raise UsageError(f"--{option} {number} is not from 1 to {COUNT_MAX}")
    return number


def _network(text: str) -> str:
    from ipaddress import ip_network

    try:
        return str(ip_network(text))
    except ValueError:
        raise UsageError(f"--penalty-exempt {text!a} is no network such as 10.0.0.0/8") from None


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except UsageError as error:
        raise UsageError(f"--listen {text}: {error}") from None


class Settings:
    """The settings of one server; paths are as given, None where nothing was said."""

    __slots__ = (
        "allow_list",
        "audit",
        "audit_dir",
        "audit_size",
        "authorized_keys",
        "crowds",
        "drain",
        "grace",
        "home",
        "host_key",
        "keep_jobs",
        "keepalive",
        "listen",
        "no_tls",
        "provision",
        "resume_for",
        "resume_reset",
        "terse_denials",
        "tls_cert",
        "tls_key",
        "user",
        "verbose",
    )

    def __init__(
        self,
        allow_list: str,
        home: str,
        *,
        listen: tuple[str, ...] = (),
        authorized_keys: str | None = None,
        host_key: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        no_tls: bool = False,
        provision: bool = True,
        drain: float = DRAIN,
        grace: float = GRACE,
        keepalive: float = KEEPALIVE_IDLE,
        resume_for: float = RESUME_SILENCE,
        resume_reset: float = RESUME_RESET,
        keep_jobs: float = JOBS_KEPT,
        terse_denials: bool = False,
        audit: str = AUDIT[0],
        audit_dir: str | None = None,
        audit_size: int = AUDIT_SIZE,
        user: str | None = None,
        verbose: bool = False,
        crowds: Crowds | None = None,
    ) -> None:
        self.allow_list = allow_list
        self.home = home
        self.listen = tuple(map(_address, listen or (DEFAULT_LISTEN,)))
        self.authorized_keys = authorized_keys
        self.host_key = host_key
        self.tls_cert = tls_cert
        self.tls_key = tls_key
        self.no_tls = no_tls
        self.provision = provision and authorized_keys is None and host_key is None
        self.drain = drain
        self.grace = grace
        self.keepalive = keepalive
        self.resume_for = resume_for  # 0: no session waits for its client
        self.resume_reset = min(resume_reset, resume_for)
        self.keep_jobs = keep_jobs  # seconds that the results of detached commands are kept
        self.terse_denials = terse_denials
        self.audit = audit
        self.audit_dir = audit_dir
        self.audit_size = audit_size
        self.crowds = crowds or Crowds()
        self.user = user  # that the listener becomes
        self.verbose = verbose
        self._check()

    def stay_on(self, listen: tuple[Address, ...]) -> Settings:
        """Return these settings for sockets that were opened before. Raises `UsageError`."""
        self.listen = listen
        self._check()
        return self

    def _check(self) -> None:
        if self.audit not in AUDIT:
            raise UsageError(f"--audit {self.audit!a} is neither {' nor '.join(AUDIT)}")
        if self.audit_dir == "":
            raise UsageError("--audit-dir names no directory")
        if self.audit_size < AUDIT_SIZE_MIN:
            raise UsageError(f"--audit-size is less than {AUDIT_SIZE_MIN} bytes")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key go together")
        if self.no_tls and self.tls_cert is not None:
            raise UsageError("--no-tls and --tls-cert exclude each other")
        if self.no_tls:
            self._check_local()

    def _check_local(self) -> None:
        for address in self.listen:
            if not address.is_local:
                raise UsageError(
                    f"--no-tls is refused for {address}: anyone on the way could read and change everything",
                    hint="--no-tls is taken for unix: and loopback addresses alone",
                )
