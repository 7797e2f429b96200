"""Receipts by raw frames: a server gives true ones, and a client takes no others."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rexec.audit import receipt
from rexec.auth.keys import PublicKey
from tests.rogue import wire
from tests.rogue.conftest import Target
from tests.rogue.server import Conversation, RogueServer, on
from tests.rogue.wire import Key

STARTED = (wire.STARTED, wire.started())
WORDS = (b"true", b"a b")
Fields = dict[str, object]


def fields(**more: object) -> Fields:
    """What an honest server would say of `WORDS` that wrote nothing and exited with 0."""
    digest = hashlib.sha256(b"".join(word + b"\0" for word in WORDS)).hexdigest()
    said: Fields = {"receipt": 1, "argv_sha256": digest, "cause": "exited", "exit": 0, "signal": ""}
    said |= {"stdout": 0, "stderr": 0, "decision": 3, "head": {"seq": 4, "hash": "a" * 64}}
    return said | more


def signed(key: Key, said: Fields, *, namespace: bytes = b"rexec-receipt-v1") -> bytes:
    """Write a receipt by hand."""
    body = json.dumps(said, separators=(",", ":")).encode()
    signature = base64.b64encode(key.sign(body, namespace=namespace))
    return body[:-1] + b',"signature":"' + signature + b'"}\n'


def serve(tmp_path: Path, make: Callable[[Key], bytes] | None) -> subprocess.CompletedProcess[bytes]:
    """Run a client against a server that sends this receipt, or none."""

    def script(client: Conversation) -> None:
        made = () if make is None else ((wire.RECEIPT, wire.string(make(client.key))),)
        client.serve(on(1, STARTED, *made, (wire.EXIT, wire.exit_())))
        client.rest()

    with RogueServer(tmp_path, script) as server:
        words = [word.decode() for word in WORDS]
        return server.run(*words, options=("--receipt", str(tmp_path / "r.json")))


def test_a_receipt_made_by_hand_is_taken(tmp_path: Path) -> None:
    """The control of the tests below."""
    done = serve(tmp_path, lambda key: signed(key, fields()))
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads((tmp_path / "r.json").read_bytes())["decision"] == 3


FORGED: dict[str, tuple[Callable[[Key], bytes], str]] = {
    "of another key": (lambda key: signed(Key(), fields()), "signed by another key"),
    "not signed": (lambda key: json.dumps(fields()).encode() + b"\n", "it has no signature"),
    "for another purpose": (
        lambda key: signed(key, fields(), namespace=b"rexec-audit-v1"),
        "another purpose",
    ),
    "changed": (lambda key: signed(key, fields()).replace(b'"exit":0', b'"exit":1'), "does not hold"),
    "of other words": (lambda key: signed(key, fields(argv_sha256="0" * 64)), "argv_sha256 is"),
    "of another end": (lambda key: signed(key, fields(exit=1)), "exit is 1, not 0"),
    "of a signal": (lambda key: signed(key, fields(signal="KILL")), "signal is 'KILL', not ''"),
    "of more output": (lambda key: signed(key, fields(stdout=1)), "stdout is 1, not 0"),
    "of less": (lambda key: signed(key, {**fields(), "stderr": None}), "stderr is None, not 0"),
    "that names no decision": (lambda key: signed(key, fields(decision=0)), "the receipt is none"),
    "that names no head": (lambda key: signed(key, fields(head=None)), "the receipt is none"),
    "garbage": (lambda key: b"\xff" * 1000, "the receipt is none"),
    "empty": (lambda key: b"", "the receipt is none"),
    "that steers": (lambda key: signed(key, fields(cause="\x1b[2J")), "cause is '\\\\x1b[2J'"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_receipt_that_is_not_true_makes_the_command_lost(tmp_path: Path, name: str) -> None:
    make, words = FORGED[name]
    done = serve(tmp_path, make)
    text = done.stderr.decode()
    assert done.returncode == 255
    assert words in text.replace("\\x1b", "\\\\x1b"), text
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    assert not (tmp_path / "r.json").exists()


def test_a_receipt_that_does_not_come_makes_the_command_lost(tmp_path: Path) -> None:
    done = serve(tmp_path, None)
    assert (done.returncode, b"the server sent no receipt" in done.stderr) == (255, True)


def test_a_receipt_that_nobody_asked_for_is_no_concern(tmp_path: Path) -> None:
    def script(client: Conversation) -> None:
        client.serve(on(1, STARTED, (wire.RECEIPT, wire.string(b"x")), (wire.EXIT, wire.exit_())))
        client.rest()

    with RogueServer(tmp_path, script) as server:
        assert server.run("true").returncode == 0


def test_a_server_signs_what_was_so(target: Target) -> None:
    with target.friend() as friend:
        friend.exec(b"echo", b"\xff", receipt=1)
        found = receipt.read(friend.expect(wire.RECEIPT, 1)[4:])
        kind, body, _ = friend.outcome()
        assert kind == wire.EXIT
    keys = (target.home / "host_ed25519.pub").read_text().split()
    assert found.signer == PublicKey.from_blob(base64.b64decode(keys[1]))
    assert found.fields["argv_sha256"] == hashlib.sha256(b"echo\0\xff\0").hexdigest()
    assert (found.fields["user"], found.fields["stdout"]) == ("alice", wire.Exit(body).stdout)
    lines = (target.home / "audit" / "audit.jsonl").read_bytes().splitlines(keepends=True)
    decision = json.loads(lines[found.decision - 1])
    assert (decision["event"], decision["argv"]) == ("allow", ["echo", "\udcff"])
    assert hashlib.sha256(lines[found.head.seq - 1]).hexdigest() == found.head.hash


def test_who_is_denied_gets_no_receipt(target: Target) -> None:
    """security.md: "Denied" means: one audit record, nothing started, the connection still usable."""
    with target.friend() as friend:
        friend.exec(b"rm", receipt=1)
        while (found := friend.read()) is not None and found[0] != wire.DENIED:
            assert found[0] != wire.RECEIPT
        assert friend.is_alive()


def test_a_flag_that_is_none_is_a_protocol_error(target: Target) -> None:
    with target.friend() as friend:
        friend.exec(b"true", receipt=2)
        assert friend.is_closed()
