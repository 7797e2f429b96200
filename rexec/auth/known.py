"""Servers whose keys are known: `known_hosts` in OpenSSH's format, and what a key shown to us means.

An entry of rexec's own is `[host]:port`, whatever the port, and a socket `unix:/path`. A key that is
known for a host is known on its other ports when it is the same key; another key on another port is
another server, not a changed one. Lines with `@revoked` refuse their key on every port of their hosts;
lines with `@cert-authority` and keys of kinds that rexec does not know say nothing to it.
"""

from __future__ import annotations

from rexec.auth.blob import Malformed, Unsupported, decode_base64
from rexec.auth.keys import PublicKey, parse_key_words
from rexec.auth.patterns import list_matches, matches
from rexec.choice import Choice
from rexec.errors import ConfigError

_HASHED = "|1|"
_UNIX = "unix:"
_UNWRITABLE = frozenset(" \t\r\n,*?!|#@\\\"'")  # would be something else than a name in the file


class Trust(Choice):
    """What known_hosts says of a key."""

    MATCH = "match"
    NEW = "new"  # nothing is known of this host and port
    CHANGED = "changed"  # another key is known
    REVOKED = "revoked"


class Verdict:
    """What known_hosts says of a key, and which lines and fingerprints say so."""

    __slots__ = ("fingerprints", "lines", "trust")

    def __init__(self, trust: Trust, entries: tuple[Entry, ...] = ()) -> None:
        self.trust = trust
        self.lines = tuple(entry.line for entry in entries)
        self.fingerprints = tuple(dict.fromkeys(entry.key.fingerprint() for entry in entries))

    def __repr__(self) -> str:
        return f"Verdict({self.trust.name}, lines={self.lines})"


class Entry:
    """One line of known_hosts."""

    __slots__ = ("_hosts", "key", "line", "revoked")

    def __init__(self, line: int, hosts: str, key: PublicKey, *, revoked: bool) -> None:
        self.line = line
        self._hosts = tuple(hosts.split(","))
        self.key = key
        self.revoked = revoked

    def names(self, place: str) -> bool:
        """Say whether the entry is for exactly this place, such as `[host]:5512`."""
        return list_matches(self._hosts, lambda item: _item_matches(place, item))

    def names_host(self, host: str) -> bool:
        """Say whether the entry is for some port of this host."""
        items = self._hosts
        return list_matches(items, lambda item: _item_matches(host, _host_of(item)))


class Known:
    """All entries of a known_hosts file."""

    __slots__ = ("_entries",)

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._entries = entries

    def lookup(self, host: str, port: int | None) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Return the entries for exactly this host and port, and those for the host on other ports."""
        exact = self._find(host, port, revoked=False)
        elsewhere = (entry for entry in self._entries if not entry.revoked and entry.names_host(_fold(host)))
        return exact, tuple(entry for entry in elsewhere if entry not in exact)

    def revocations(self, host: str, port: int | None, key: PublicKey) -> tuple[Entry, ...]:
        """Return the entries that revoke a key for this host, on whichever port they name."""
        entries = (*self._find(host, port, revoked=True), *self._elsewhere_revoked(host))
        return tuple(dict.fromkeys(entry for entry in entries if entry.key == key))

    def _find(self, host: str, port: int | None, *, revoked: bool) -> tuple[Entry, ...]:
        place = place_of(host, port)
        return tuple(e for e in self._entries if e.revoked is revoked and e.names(place))

    def _elsewhere_revoked(self, host: str) -> tuple[Entry, ...]:
        return tuple(e for e in self._entries if e.revoked and e.names_host(_fold(host)))


def place_of(host: str, port: int | None) -> str:
    """Return the name that a server has in known_hosts; the port of a Unix socket is None."""
    return _fold(host) if host.startswith(_UNIX) else f"[{_fold(host)}]:{port}"


def _fold(host: str) -> str:
    """Return a name of a host as it is compared; paths keep their case."""
    return host if host.startswith(_UNIX) else host.lower()


def _host_of(item: str) -> str:
    """Return an item of a list without brackets and port."""
    sign = "!" if item.startswith("!") else ""
    bare = item.removeprefix("!")
    if bare.startswith("[") and "]:" in bare:
        return sign + bare[1 : bare.rindex("]:")]
    return item


def _item_matches(place: str, item: str) -> bool:
    if item.startswith(_HASHED):
        return _hash_matches(place, item)
    return matches(place, _fold(item))


def _hash_matches(place: str, item: str) -> bool:
    """Compare with `|1|salt|HMAC-SHA1(salt, place)`, both in base64."""
    from _hashlib import compare_digest, hmac_digest  # `hmac` takes a client 4 ms

    salt, _, expected = item.removeprefix(_HASHED).partition("|")
    name = place.encode("utf-8", "surrogateescape")
    return compare_digest(hmac_digest(decode_base64(salt), name, "sha1"), decode_base64(expected))


def parse_known(text: str, name: str) -> Known:
    """Return what a known_hosts file says; `name` is the file's, for errors. Raises `ConfigError`."""
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            entry = _entry(number, words)
        except Malformed as error:
            raise ConfigError(f"{name}:{number}: {error}", hint=f"remove line {number} of {name}") from None
        if entry is not None:
            entries.append(entry)
    return Known(tuple(entries))


def _entry(number: int, words: list[str]) -> Entry | None:
    """Return the entry that a line is, None for one that says nothing to rexec."""
    marker = words.pop(0) if words[0].startswith("@") else ""
    if marker == "@cert-authority":
        return None
    if marker not in ("", "@revoked"):
        raise Malformed(f"marker {marker} is not known")
    if len(words) < 3:
        raise Malformed("hosts, a type and a key are wanted")
    hosts, algorithm, encoded = words[:3]
    try:
        key = parse_key_words(algorithm, encoded)
    except Unsupported:
        return None
    if _HASHED[0] in hosts:
        _check_hashed(hosts)
    return Entry(number, hosts, key, revoked=bool(marker))


def _check_hashed(hosts: str) -> None:
    """Refuse a hashed name that could never be compared."""
    salt, _, expected = hosts.removeprefix(_HASHED).partition("|")
    if not hosts.startswith(_HASHED) or not decode_base64(salt) or not decode_base64(expected):
        raise Malformed("a hashed name is not |1|salt|hash")


def verdict(known: Known, host: str, port: int | None, key: PublicKey) -> Verdict:
    """Return what is to be thought of a server at `host` and `port` that showed this key."""
    if revoked := known.revocations(host, port, key):
        return Verdict(Trust.REVOKED, revoked)
    exact, elsewhere = known.lookup(host, port)
    if same := tuple(entry for entry in (*exact, *elsewhere) if entry.key == key):
        return Verdict(Trust.MATCH, same)
    return Verdict(Trust.CHANGED, exact) if exact else Verdict(Trust.NEW)


def known_line(host: str, port: int | None, key: PublicKey) -> str:
    """Return the line that pins a server's key, without its end. Raises `ConfigError`."""
    if not host or not host.isprintable() or not _UNWRITABLE.isdisjoint(host):
        raise ConfigError("a host of this name cannot be written to known_hosts")
    return f"{place_of(host, port)} {key.line()}"
