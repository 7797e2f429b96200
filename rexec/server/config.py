"""What a server is told: the options of `rexec-server`, each with its default."""

from __future__ import annotations

from rexec.errors import UsageError
from rexec.limits import AUDIT_SIZE, AUDIT_SIZE_MIN, DRAIN, GRACE
from rexec.transport.address import parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.transport.address import Address

DEFAULT_LISTEN = "127.0.0.1:5512"
AUDIT = ("best-effort", "required")  # what a log that cannot be written means


class Settings:
    """The settings of one server; paths are as given, None where nothing was said."""

    __slots__ = (
        "allow_list",
        "audit",
        "audit_dir",
        "audit_size",
        "authorized_keys",
        "drain",
        "grace",
        "home",
        "host_key",
        "listen",
        "no_tls",
        "provision",
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
        terse_denials: bool = False,
        audit: str = AUDIT[0],
        audit_dir: str | None = None,
        audit_size: int = AUDIT_SIZE,
        user: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.allow_list = allow_list
        self.home = home
        self.listen = tuple(parse_address(text) for text in listen or (DEFAULT_LISTEN,))
        self.authorized_keys = authorized_keys
        self.host_key = host_key
        self.tls_cert = tls_cert
        self.tls_key = tls_key
        self.no_tls = no_tls
        self.provision = provision and authorized_keys is None and host_key is None
        self.drain = drain
        self.grace = grace
        self.terse_denials = terse_denials
        self.audit = audit
        self.audit_dir = audit_dir
        self.audit_size = audit_size
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
