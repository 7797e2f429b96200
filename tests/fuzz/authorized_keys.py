"""Any text as authorized_keys: who comes in by it, and as whom; or a refusal with a place and a reason."""

from __future__ import annotations

import re

from rexec.auth.authorized import Authorized, authorized_line, parse_authorized
from rexec.auth.keys import PublicKey
from rexec.auth.names import is_user_name
from rexec.auth.options import TABLE
from rexec.errors import ConfigError
from tests.auth.samples import VALUES, public
from tests.fuzz.strangers import ALICE, NOBODY, NOW

KEYS = (ALICE.public, public("ed"), public("ec256"), public("rsa"))
PEERS = (None, "127.0.0.1", "192.0.2.7", "2001:db8::1")
USERS = ("", "alice", "bob", "root")
LATER = 4_000_000_000.0
_LINES = tuple(" ".join(VALUES[f"{name}.pub"].split()[:2]) for name in ("ed", "ec256"))
_A = ALICE.public.line()
SEEDS = tuple(
    text.encode()
    for text in (
        f"{_A} alice@laptop\n# note\n\n",
        f'user="alice,bob",groups="ops" {_A}\nuser="bob" {_A}\n',
        f'from="192.0.2.0/24,!192.0.2.9,2001:db8::*",expiry-time="20400101Z" {_A}\n',
        f'restrict,pty,no-port-forwarding,user="bob" {_A} "a comment\n',
        f'expiry-time="203001011200" {_A}\r\n{_LINES[0]}\n{_LINES[1]} x\n',
        f'command="ls" {_A}\n',
        f'user="a\\"b" {_A}\n',
        "sk-ssh-ed25519@openssh.com AAAA x\nssh-rsa AAAAB3NzaC1yc2EAAAADAQAB\n",
    )
)
WORDS = (
    *(f'{name}="' .encode() if takes else f"{name},".encode() for name, (takes, _) in TABLE.items()),
    _A.encode(), *(line.encode() for line in _LINES), b'"', b'\\"', b"alice", b"192.0.2.0/24", b"!", b"*",
    b"2001:db8::", b"::ffff:127.0.0.1", b"20300101Z", b"cert-authority", b" ", b"\t", b"\n", b"\xc2\xa0",
)  # fmt: skip


def read(text: str) -> Authorized | str:
    """Read a file, or give what is wrong with it."""
    try:
        return parse_authorized(text, "authorized_keys", "root")
    except ConfigError as error:
        return str(error)


def try_it(data: bytes) -> None:
    """Read a made-up file, and let everybody knock, with every name, from everywhere."""
    text = data.decode("utf-8", "replace")
    found = read(text)
    if isinstance(found, str):
        _is_told(text, found)
        return
    assert all(re.match(r"authorized_keys:[0-9]+: ", note) for note in found.notes)
    alone = [one for line in text.split("\n") if isinstance(one := read(line), Authorized) and len(one)]
    assert sum(map(len, alone)) == len(found), text
    assert found.judge(NOBODY.public, "", None, NOW) is None
    for key in KEYS:
        _knock(text, key, found, alone)
    _is_no_more(text, found)


def _is_told(text: str, why: str) -> None:
    """See that a refusal names the line that alone is refused, too."""
    place = re.match(r"authorized_keys:([0-9]+): ", why)
    assert place is not None, why
    line = text.split("\n")[int(place[1]) - 1]
    assert isinstance(read(line), str), line


def _knock(text: str, key: PublicKey, found: Authorized, alone: list[Authorized]) -> None:
    for user in USERS:
        for peer in PEERS:
            who = found.judge(key, user, peer, NOW)
            first = next((one for line in alone if (one := line.judge(key, user, peer, NOW))), None)
            assert who == first, "another line than the first that takes this decides"
            if who is None:
                continue
            assert key.line().split()[1] in text, "somebody came in whose key is not in the file"
            assert user in ("", who.user)
            assert is_user_name(who.user), who
            assert all(map(is_user_name, who.groups)), who
            assert who.expires is None or who.expires > NOW
            assert found.judge_again(who, peer, NOW) is not None
            later = found.judge(key, user, peer, LATER)
            assert later is None or later.expires is None or later.expires > LATER


def _is_no_more(text: str, found: Authorized) -> None:
    """See that a line more lets nobody else in than its own key."""
    more = read(text + "\n" + authorized_line(NOBODY.public, "eve", ("ops",)) + "\n")
    assert isinstance(more, Authorized)
    assert len(more) == len(found) + 1
    for key in KEYS:
        assert more.judge(key, "", "192.0.2.7", NOW) == found.judge(key, "", "192.0.2.7", NOW)
    eve = more.judge(NOBODY.public, "", None, NOW)
    assert eve is not None
    assert (eve.user, eve.groups) == ("eve", {"ops"})
