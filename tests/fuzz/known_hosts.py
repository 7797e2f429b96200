"""Any text as known_hosts: what it says of a key that is shown; or a refusal with a place and a reason."""

from __future__ import annotations

import re

from rexec.auth.keys import PublicKey
from rexec.auth.known import Known, Trust, known_line, parse_known, verdict
from rexec.auth.patterns import matches
from rexec.errors import ConfigError
from tests.auth.samples import VALUES, public
from tests.fuzz.strangers import HOST, OTHER_HOST

PLACES = (("web1", 5512), ("WEB1", 22), ("::1", 5512), ("unix:/run/rexec.sock", None))
KEYS = (HOST.public, public("ed"), public("ec256"))
_H = HOST.public.line()
_E = " ".join(VALUES["ed.pub"].split()[:2])
SEEDS = tuple(
    text.encode()
    for text in (
        f"[web1]:5512 {_H} a comment\n# note\n\n",
        f"web1,[web1]:22,!web2 {_E}\n[web1]:5512 {_H}\n",
        f"@revoked * {_E}\nweb* {_H}\n[we?1]:* {_E}\n",
        f"@cert-authority *.example.com {_E}\nunix:/run/rexec.sock {_H}\n[::1]:5512 {_H}\n",
        VALUES["known.exact"] + "\n" + VALUES["known.host"] + "\n",
        "web1 ssh-dss AAAA\nweb1 sk-ssh-ed25519@openssh.com AAAA\n",
    )
)
WORDS = (
    _H.encode(), _E.encode(), b"@revoked ", b"@cert-authority ", b"|1|", b"web1", b"[web1]:5512", b"*", b"?",
    b"!", b",", b" ", b"\n", b"unix:/run/rexec.sock", b"[::1]:5512", b"]:", b"WEB1", b"\xc4\xb0",
)  # fmt: skip


def read(text: str) -> Known | str:
    """Read a file, or give what is wrong with it."""
    try:
        return parse_known(text, "known_hosts")
    except ConfigError as error:
        assert error.hint is not None
        return str(error)


def try_it(data: bytes) -> None:
    """Read a made-up file, and show it keys of hosts."""
    text = data.decode("utf-8", "replace")
    _is_a_pattern(text)
    found = read(text)
    if isinstance(found, str):
        place = re.match(r"known_hosts:([0-9]+): ", found)
        assert place is not None, found
        assert isinstance(read(text.split("\n")[int(place[1]) - 1]), str), found
        return
    lines = text.split("\n")
    backwards = read("\n".join(reversed(lines)))
    alone = [one for line in lines if isinstance(one := read(line), Known)]
    for host, port in PLACES:
        for key in KEYS:
            said = verdict(found, host, port, key)
            assert isinstance(backwards, Known)
            assert verdict(backwards, host, port, key).trust is said.trust, "the order of lines decides"
            assert said.trust is _reckoned(alone, host, port, key)
            assert all(key.line().split()[1] in lines[n - 1] for n in said.lines) or (
                said.trust is Trust.CHANGED
            )
    _goes_on(text, found)


def _reckoned(alone: list[Known], host: str, port: int | None, key: PublicKey) -> Trust:
    """Say what is to be thought of a key, from what each line alone says."""
    said = [verdict(one, host, port, key).trust for one in alone]
    for trust in (Trust.REVOKED, Trust.MATCH, Trust.CHANGED):
        if trust in said:
            return trust
    return Trust.NEW


def _goes_on(text: str, found: Known) -> None:
    """See that a host which is new is known once it is written down, and refused once it is revoked."""
    key = OTHER_HOST.public
    for host, port in PLACES:
        if verdict(found, host, port, key).trust is Trust.NEW:
            more = read(text + "\n" + known_line(host, port, key) + "\n")
            assert isinstance(more, Known)
            assert verdict(more, host, port, key).trust is Trust.MATCH
    never = read(f"{text}\n@revoked * {key.line()}\n")
    assert isinstance(never, Known)
    for host, port in PLACES:
        assert verdict(never, host, port, key).trust is Trust.REVOKED


def _is_a_pattern(text: str) -> None:
    """Match the first word by the second, as a regular expression does that says the same."""
    words = text.split()[:2]
    if len(words) < 2 or max(map(len, words)) > 40 or words[1].count("*") > 4:
        return
    form = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in words[1])
    assert matches(words[0], words[1]) == bool(re.fullmatch(form, words[0], re.DOTALL)), words
