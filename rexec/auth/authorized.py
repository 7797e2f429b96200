"""Who may log in: authorized_keys in OpenSSH's format, and the principal that a key stands for.

A line is options, key, comment. The options are those of `options` and no others. A line without
`user=` is for the user who runs the server; the comment means nothing, since who sends a key writes
it. The first line that takes key, user, address and time decides.
"""

from __future__ import annotations

from rexec.auth.blob import Malformed, Unsupported
from rexec.auth.keys import PublicKey, is_key_type, parse_public_line
from rexec.auth.names import is_user_name
from rexec.auth.options import Options, parse_options, split_options
from rexec.auth.peers import peer_matches
from rexec.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Principal:
    """Who was authenticated: the key whose signature verified, and what its line says of it."""

    __slots__ = ("expires", "fingerprint", "groups", "key", "pty_allowed", "user")

    def __init__(self, user: str, key: PublicKey, options: Options) -> None:
        self.user = user
        self.groups = options.groups
        self.key = key
        self.fingerprint = key.fingerprint()
        self.pty_allowed = options.pty
        self.expires = options.expires  # seconds since the epoch, None for never

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Principal) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.user, self.groups, self.key, self.pty_allowed, self.expires)

    def __repr__(self) -> str:
        return f"Principal({self.user}, {self.fingerprint})"


class Line:
    """One key of authorized_keys with its options."""

    __slots__ = ("_principals", "key", "number", "options")

    def __init__(self, number: int, key: PublicKey, options: Options) -> None:
        self.number = number
        self.key = key
        self.options = options
        self._principals: dict[str, Principal] = {}  # of the users that it names

    def principal(self, user: str, peer: str | None, now: float) -> Principal | None:
        """Return who this line says the owner of its key is, None when it does not apply."""
        options = self.options
        if user and user not in options.users:
            return None
        if options.peers is not None and not peer_matches(options.peers, peer):
            return None
        if options.expires is not None and now >= options.expires:
            return None
        name = user or options.users[0]
        if name not in self._principals:
            self._principals[name] = Principal(name, self.key, options)
        return self._principals[name]


class Authorized:
    """All keys that may log in; `notes` says which lines are of no use to rexec, and why."""

    __slots__ = ("_lines", "notes")

    def __init__(self, lines: Iterable[Line] = (), notes: tuple[str, ...] = ()) -> None:
        self._lines: dict[PublicKey, list[Line]] = {}
        for line in lines:
            self._lines.setdefault(line.key, []).append(line)
        self.notes = notes

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def judge(self, key: PublicKey, user: str, peer: str | None, now: float) -> Principal | None:
        """Return who proved this key, or None.

        `user` is the one asked for, empty to let the key decide; `peer` the client's address, None on a
        Unix socket; `now` in seconds since the epoch.
        """
        for line in self._lines.get(key, ()):
            principal = line.principal(user, peer, now)
            if principal is not None:
                return principal
        return None

    def judge_again(self, principal: Principal, peer: str | None, now: float) -> Principal | None:
        """Return the principal as it is today: a key may have been revoked, expired or given other groups."""
        return self.judge(principal.key, principal.user, peer, now)


def parse_authorized(text: str, name: str, default_user: str) -> Authorized:
    """Return what an authorized_keys file says; `name` is the file's, for errors. Raises `ConfigError`."""
    lines, notes = [], []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            lines.append(_line(number, line, default_user))
        except Unsupported as error:  # grants nothing, and has its use for sshd
            notes.append(f"{name}:{number}: {error}: this key cannot be used")
        except Malformed as error:
            raise ConfigError(f"{name}:{number}: {error}") from None
    return Authorized(lines, tuple(notes))


def _line(number: int, line: str, default_user: str) -> Line:
    options = Options()
    if not is_key_type(line.split(None, 1)[0]):
        front, line = split_options(line)
        options = parse_options(front)
    if not options.users:
        options.users = (default_user,)
    key, _ = parse_public_line(line)
    return Line(number, key, options)


def authorized_line(public: PublicKey, user: str, groups: Iterable[str] = ()) -> str:
    """Return the line that lets a key in as `user`, without its end. Raises `ConfigError`."""
    listed = tuple(groups)
    for name in (user, *listed):
        if not is_user_name(name):
            raise ConfigError(f'"{name}" is not a name: letters, digits and _ . @ - make one')
    options = f'user="{user}"' + (f',groups="{",".join(listed)}"' if listed else "")
    return f"{options} {public.line(user)}"
