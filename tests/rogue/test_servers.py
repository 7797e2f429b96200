"""What a server can do to a client: end it with 255 and one line of words, and nothing else."""

from __future__ import annotations

import json
import os
import ssl
import struct
import subprocess
from pathlib import Path

import pytest

from tests.regress.forked import forked
from tests.rogue import wire
from tests.rogue.server import Conversation, RogueServer, Script, on, ping, whole
from tests.rogue.wire import Key

CANARY = b"what only the right server may read"
BOTH = pytest.mark.parametrize("tls", [True, False])


def lost(done: subprocess.CompletedProcess[bytes], *words: str) -> None:
    """Check that a client failed as it should: 255, one clean line of reasons, perhaps a hint."""
    text = done.stderr.decode()
    assert done.returncode == 255, text
    lines = text.splitlines()
    assert 1 <= len(lines) <= 2, text
    assert all(line.startswith("rexec: ") and line.isprintable() for line in lines), text
    for word in words:
        assert word in text, text


def state(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the state of a run with ``--json``."""
    return str(json.loads(done.stdout)["state"])


def talk(folder: Path, script: Script, *, tls: bool = True) -> RogueServer:
    return RogueServer(folder, script, tls=tls)


@BOTH
def test_an_honest_conversation_made_by_hand_is_understood(tmp_path: Path, tls: bool) -> None:
    """The control of all tests below."""

    def script(client: Conversation) -> None:
        client.serve(whole(b"hello\n", 7))
        client.rest()

    with talk(tmp_path, script, tls=tls) as server:
        done = server.run("echo", "hello", stdin=CANARY)
        assert (done.returncode, done.stdout, done.stderr) == (7, b"hello\n", b"")


# --- trust ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("known", ["another", "none"])
def test_a_server_with_another_key_hears_nothing(tmp_path: Path, tls: bool, known: str) -> None:
    """security.md, Protocol: "Relay with another certificate"; protocol.md 5: the pin is compared
    before any byte of the client."""
    with talk(tmp_path, lambda client: client.greet(), tls=tls) as server:
        server.trust(Key() if known == "another" else None)
        lost(server.run(stdin=CANARY), "changed" if known == "another" else "is not known", "SHA256:")
        assert state(server.run(options=("--json",), stdin=CANARY)) == "untrusted"
        assert server.heard == b""


def no_proof(client: Conversation) -> bytes:
    return b""


BENT = {
    "no proof": no_proof,
    "another key": lambda client: client.host_proof(Key()),
    "another role": lambda client: client.host_proof(role=b"client"),
    "another user": lambda client: client.host_proof(user=b"bob"),
    "another nonce": lambda client: client.host_proof(binding=bytes(32) + wire.string(b"127.0.0.1:1")),
    "another server": lambda client: client.host_proof(spki_sha256=bytes(32)),
    "another conversation": lambda client: client.host_proof(
        hello=wire.string(client.hello) + wire.string(wire.client_hello())
    ),
    "garbage": lambda client: b"\xff" * 100,
}


@pytest.mark.parametrize("name", BENT)
def test_in_the_clear_who_cannot_prove_the_key_gets_no_input(tmp_path: Path, name: str) -> None:
    """protocol.md 5: the client checks the server's proof before any stdin is sent."""

    def script(client: Conversation) -> None:
        client.greet()
        client.send(wire.frame(wire.WELCOME, wire.welcome(b"alice", BENT[name](client))), whole(b"x"))
        client.rest()

    with talk(tmp_path, script, tls=False) as server:
        done = server.run("cat", stdin=CANARY)
        lost(done, "prove")
        assert done.stdout == b""
        assert state(server.run("cat", options=("--json",), stdin=CANARY)) == "untrusted"
        assert wire.HEADER.pack(wire.STDIN, 0, 1, len(CANARY)) not in server.heard
        assert CANARY not in server.heard


def test_a_proof_that_the_client_made_is_not_taken_for_the_servers(tmp_path: Path) -> None:
    """security.md, Protocol: "reflected proof"."""

    def script(client: Conversation) -> None:
        client.send(wire.frame(wire.SERVER_HELLO, client.hello))
        proof = client.hear(wire.PROOF)
        body = wire.first_string(proof[4 + len(b"publickey") + 4 :])
        client.send(wire.frame(wire.WELCOME, wire.welcome(b"alice", body)), whole(b"x"))
        client.rest()

    with talk(tmp_path, script, tls=False) as server:
        lost(server.run("cat", stdin=CANARY), "prove")
        assert CANARY not in server.heard


# --- the greeting --------------------------------------------------------------------------------


def refuse_for_ever(client: Conversation) -> None:
    client.send(wire.frame(wire.SERVER_HELLO, client.hello))
    client.hear(wire.PROOF)
    client.send(wire.frame(wire.REFUSED, wire.string(b"no")) * 1000)
    client.rest()


GREETINGS: dict[str, Script] = {
    "nothing": lambda client: None,
    "silence and the end": lambda client: client.greet(),
    "garbage": lambda client: client.send(b"\xff" * 4096),
    "http": lambda client: client.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "ssh": lambda client: client.send(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "two hellos": lambda client: client.send(wire.frame(wire.SERVER_HELLO, client.hello) * 2),
    "a long hello": lambda client: client.send(wire.frame(wire.SERVER_HELLO, length=0xFFFF_FFFF)),
    "a short nonce": lambda client: client.send(
        wire.frame(wire.SERVER_HELLO, wire.server_hello(bytes(31), client.key.blob))
    ),
    "a welcome at once": lambda client: client.send(
        wire.frame(wire.SERVER_HELLO, client.hello), wire.frame(200), client.welcome()
    ),
    "a welcome before the hello": lambda client: client.send(client.welcome()),
    "output before the welcome": lambda client: client.send(
        wire.frame(wire.SERVER_HELLO, client.hello), whole(b"x")
    ),
    "a goodbye": lambda client: client.send(wire.frame(wire.GOODBYE, wire.goodbye(4, b"\x1b[2Jbusy\n\x07"))),
    "a client's frames": lambda client: client.send(wire.frame(wire.CLIENT_HELLO, wire.client_hello())),
    "a session that was not asked for": lambda client: client.serve_resumed(),
    "refused for ever": refuse_for_ever,
}


@BOTH
@pytest.mark.parametrize("name", GREETINGS)
def test_a_greeting_that_is_none_ends_the_client(tmp_path: Path, tls: bool, name: str) -> None:
    """security.md, Protocol: "frames before authentication, twice, out of order"."""
    with talk(tmp_path, GREETINGS[name], tls=tls) as server:
        done = server.run("cat", options=("--resume-for", "200ms"), stdin=CANARY)
        lost(done)
        assert done.stdout == b""
        assert CANARY not in server.heard


# --- the command ---------------------------------------------------------------------------------

ODD = "\x9b31m\u202e".encode()  # a control sequence in one character, and a mark that turns text round
STARTED = (wire.STARTED, wire.started())
LIES: dict[str, tuple[bytes, str]] = {
    "fewer bytes than promised": (
        on(1, STARTED, (wire.STDOUT, b"abc"), (wire.EXIT, wire.exit_(stdout=4))),
        "output incomplete at byte 3",
    ),
    "more bytes than promised": (
        on(1, STARTED, (wire.STDOUT, b"abc"), (wire.EXIT, wire.exit_(stdout=2))),
        "output incomplete at byte 3",
    ),
    "no bytes of stderr": (on(1, STARTED, (wire.EXIT, wire.exit_(stderr=1))), "output incomplete at byte 0"),
    "no exit": (on(1, STARTED, (wire.STDOUT, b"abc"), (wire.EOF, b"\1"), (wire.EOF, b"\2")), "incomplete"),
    "empty data": (on(1, STARTED, (wire.STDOUT, b"")), "empty data"),
    "data after the end": (on(1, STARTED, (wire.EOF, b"\1"), (wire.STDOUT, b"x")), "after the end"),
    "two ends": (on(1, STARTED, (wire.EOF, b"\1"), (wire.EOF, b"\1")), "ends twice"),
    "output before the start": (on(1, (wire.STDOUT, b"x")), "in state opening"),
    "two starts": (on(1, STARTED, STARTED), "in state running"),
    "a denial while it runs": (on(1, STARTED, (wire.DENIED, wire.denied(b"no"))), "in state running"),
    "another channel": (on(2, STARTED), "in state closed"),
    "data on another channel": (on(1, STARTED) + on(9, (wire.STDOUT, b"x")), "in state closed"),
    "an exec": (on(1, STARTED, (wire.EXEC, wire.exec_(1, b"id"))), "Exec in state open"),
    "a long frame": (wire.frame(wire.STDOUT, channel=1, length=0xFFFF_FFFF), "too long"),
    "an unknown frame": (wire.frame(99), "unknown frame type 99"),
    "an unknown cause": (on(1, STARTED, (wire.EXIT, wire.exit_(cause=77))), "unknown cause 77"),
    "leftovers": (on(1, STARTED, (wire.EXIT, wire.exit_() + b"x")), "left over"),
    "input from the server": (on(1, STARTED, (wire.STDIN, b"x")), "Stdin in state open"),
    "credit backwards": (on(1, STARTED, (wire.CREDIT, wire.credit(0, 0))), "backwards"),
    "credit without bounds": (on(1, STARTED, (wire.CREDIT, wire.credit(0, 1 << 63))), "maximum"),
    "an ack of nothing": (wire.frame(wire.ACK, struct.pack("!Q", 1 << 40)), "acknowledged"),
    "a second welcome": (wire.frame(wire.WELCOME, wire.welcome(b"root")), "Welcome in state open"),
    "a late refusal": (wire.frame(wire.REFUSED, wire.string(b"no")), "Refused in state open"),
    "a goodbye in the middle": (
        on(1, STARTED, (wire.STDOUT, b"x")) + wire.frame(wire.GOODBYE, wire.goodbye(0, b"\x1b]0;x\x07")),
        "\\x1b]0;x\\x07",
    ),
    "lost": (on(1, STARTED, (wire.EXIT, wire.exit_(cause=6))), "nobody knows"),
    "it already ran": (on(1, (wire.EXIT, wire.exit_(cause=7))), "already ran"),
    "drained": (on(1, STARTED, (wire.EXIT, wire.exit_(cause=5, message=ODD))), "\\x9b31m\\u202e"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_result_that_is_not_whole_is_never_a_success(tmp_path: Path, name: str) -> None:
    """cli.md: "Output that did not arrive whole is never a success"."""
    sent, words = LIES[name]

    def script(client: Conversation) -> None:
        client.serve(sent)

    with talk(tmp_path, script) as server:
        lost(server.run("cat"), words)


def test_data_beyond_the_window_ends_the_client(tmp_path: Path) -> None:
    """security.md, Processes: "memory flat": what nobody reads is not credited."""
    reading, writing = os.pipe()

    def script(client: Conversation) -> None:
        client.serve(on(1, STARTED, *[(wire.STDOUT, bytes(200_000))] * 4))
        client.rest()

    with talk(tmp_path, script) as server:
        lost(server.run("cat", stdout=writing), "data beyond the window")
    os.close(reading)
    os.close(writing)


CODES: dict[str, tuple[bytes, int]] = {
    "a failure with code 0": (on(1, (wire.FAILED, wire.failed(0, b"\x1b[31mno"))), 126),
    "a failure with code 127": (on(1, (wire.FAILED, wire.failed(127, b"no"))), 127),
    "a failure with code 255": (on(1, (wire.FAILED, wire.failed(255, b"no"))), 126),
    "a denial that steers": (on(1, (wire.DENIED, wire.denied("\x1b[2J\u202e\n".encode()))), 126),
    "a signal": (on(1, STARTED, (wire.EXIT, wire.exit_(1, signal=b"TERM"))), 128 + 15),
    "a signal without a name": (on(1, STARTED, (wire.EXIT, wire.exit_(1))), 128),
    "a signal that is none": (on(1, STARTED, (wire.EXIT, wire.exit_(1, signal=b"\x1b[2J"))), 128),
    "a handler's name": (on(1, STARTED, (wire.EXIT, wire.exit_(1, signal=b"_DFL"))), 128),
    "a signal of this system": (on(1, STARTED, (wire.EXIT, wire.exit_(1, signal=b"RTMIN+1"))), 128 + 35),
    "a signal that makes 256": (on(1, STARTED, (wire.EXIT, wire.exit_(1, signal=b"RTMIN+94"))), 128),
    "a signal without end": (
        on(1, STARTED, (wire.EXIT, wire.exit_(1, signal=b"RTMIN+" + b"9" * 5_000))),
        128,
    ),
}


@pytest.mark.parametrize("name", CODES)
def test_odd_endings_have_the_code_of_their_kind(tmp_path: Path, name: str) -> None:
    """security.md, People's terminals: "Control characters, escape sequences, newlines, bidi marks in
    ... denials ...: what rexec itself prints is neutralised"."""
    sent, code = CODES[name]

    def script(client: Conversation) -> None:
        client.serve(sent)
        client.rest()

    with talk(tmp_path, script) as server:
        done = server.run("cat")
        assert done.returncode == code
        assert done.stderr.decode().rstrip("\n").isprintable()
        assert done.stderr.count(b"\n") <= 1
        found = server.run("cat", options=("--json",))
        assert json.loads(found.stdout)["exit_code"] == code == found.returncode


ANSWERS = [
    b"", b"x", b"{}", b"[]x", b"null", b"[1]", b'[{"text":1,"about":""}]', b'[{"text":"a","about":null}]',
    b'["x"]', b'{"lines":1,"exit_code":0}', b'{"lines":[],"exit_code":"0"}',
    b'{"lines":[],"exit_code":256}', b'{"lines":[],"exit_code":-1}',
    b'{"lines":[],"exit_code":1e400}', b"[" * 100_000, b"\xff\xfe",
    b'{"lines":[],"exit_code":99999999999999999999999}',
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(ANSWERS)))
@pytest.mark.parametrize("words", [("--list",), ("--explain", "ls")], ids=["list", "explain"])
def test_an_answer_that_cannot_be_read_is_one_line_and_255(
    tmp_path: Path, words: tuple[str, ...], index: int
) -> None:
    answer = ANSWERS[index]

    def script(client: Conversation) -> None:
        data = ((wire.STDOUT, answer),) if answer else ()
        client.serve(on(1, *data, (wire.EXIT, wire.exit_(stdout=len(answer)))))
        client.rest()

    with talk(tmp_path, script) as server:
        lost(server.run(*words[1:], options=words[:1]), "the server's answer cannot be read")


def test_a_list_that_steers_is_neutralised(tmp_path: Path) -> None:
    """security.md, People's terminals: "what rexec itself prints is neutralised"."""
    answer = json.dumps([{"rule": "x:1", "text": "ls\x1b[2J", "about": "\u202eabc\n"}]).encode()

    def script(client: Conversation) -> None:
        client.serve(on(1, (wire.STDOUT, answer), (wire.EXIT, wire.exit_(stdout=len(answer)))))
        client.rest()

    with talk(tmp_path, script) as server:
        done = server.run(options=("--list",))
        assert done.stdout == b"ls\\x1b[2J  # \\u202eabc\\x0a\n"


def test_a_server_that_only_pings_is_answered_and_not_more(tmp_path: Path) -> None:
    def script(client: Conversation) -> None:
        client.serve(on(1, STARTED), b"".join(map(ping, range(10_000))))
        for number in range(10_000):
            assert client.hear(wire.PONG) == struct.pack("!Q", number)
        client.send(whole(b"x")[len(on(1, STARTED)) :])

    with talk(tmp_path, script) as server:
        assert server.run("cat").returncode == 0


def resuming(client: Conversation) -> None:
    """Be a server of which sessions can be taken up again."""
    key = b"" if isinstance(client.socket, ssl.SSLSocket) else client.key.blob
    client.hello = wire.server_hello(client.nonce, key, (b"resume",))
    client.greet()


def farewell(client: Conversation) -> None:
    resuming(client)
    client.hear(wire.EXEC)
    client.send(client.welcome(), wire.frame(wire.GOODBYE, wire.goodbye(1, b"the server is stopping")))
    client.rest()


def hangs_up(client: Conversation) -> None:
    resuming(client)
    client.hear(wire.EXEC)


def goes(client: Conversation) -> None:
    resuming(client)
    client.send(wire.frame(wire.GOODBYE, wire.goodbye(1, b"the server is stopping")))
    client.rest()


@pytest.mark.parametrize("first", [farewell, hangs_up, goes])
@BOTH
def test_a_server_that_never_answered_is_asked_again(tmp_path: Path, tls: bool, first: Script) -> None:
    """protocol.md 7 and 10: by the same name, with the same key, and for the same id."""
    asked: list[bytes] = []

    def second(client: Conversation) -> None:
        resuming(client)
        client.send(client.welcome())
        asked.append(client.hear(wire.EXEC))
        client.send(whole(b"x", 7))
        client.rest()

    scripts = iter((first, second))
    with talk(tmp_path, lambda client: next(scripts)(client), tls=tls) as server:
        done = server.run("cat")
        assert (done.returncode, done.stdout) == (7, b"x")
        before, after = server.conversations
        assert wire.first_string(before.client_hello) == wire.first_string(after.client_hello)
        assert before.heard.count(asked[0]) <= 1
        assert after.heard.count(asked[0]) == 1


@BOTH
def test_a_server_that_tells_nothing_is_not_asked_again(tmp_path: Path, tls: bool) -> None:
    """One that keeps no ids could have run the command: nobody can say, and nothing runs twice."""

    def second(client: Conversation) -> None:
        client.greet()
        client.send(client.welcome())
        client.rest()

    scripts = iter((hangs_up, second))
    with talk(tmp_path, lambda client: next(scripts)(client), tls=tls) as server:
        lost(server.run("cat"), f"127.0.0.1:{server.port}: ", "does not tell what it was asked before")
        (_, after) = server.conversations
        assert not after.heard.count(wire.strings([b"cat"]))


# --- the cut -------------------------------------------------------------------------------------


def cut_at(cut: int | None) -> tuple[Script, list[int]]:
    """Say what an honest server says up to this byte, and be gone without a word; note the whole length."""
    lengths: list[int] = []

    def script(client: Conversation) -> None:
        hello = wire.frame(wire.SERVER_HELLO, client.hello)
        client.send(hello[:cut])
        if cut is None or cut > len(hello):
            client.hear(wire.EXEC)
            rest = client.welcome() + whole(b"all of it")
            client.send(rest if cut is None else rest[: cut - len(hello)])
            lengths.append(len(hello) + len(rest))

    return script, lengths


@pytest.mark.parametrize(("tls", "step"), [(True, 1), (False, 5)])
def test_a_connection_that_is_cut_anywhere_is_never_a_success(tmp_path: Path, tls: bool, step: int) -> None:
    """security.md, Protocol: "FIN without close_notify, a dropped tail, a proxy that cuts after k bytes:
    the client never exits 0"."""
    script, lengths = cut_at(None)
    with talk(tmp_path, script, tls=tls) as server:
        assert server.run("cat").returncode == 0
    cuts = [*range(0, lengths[0], step), lengths[0] - 1]
    left = iter(cuts)  # one for each that connects, whoever comes first
    with talk(tmp_path, lambda client: cut_at(next(left))[0](client), tls=tls) as server:
        done = forked([server.words("cat", options=("--no-resume",))] * len(cuts), server.environment())
        assert [one.code for one in done] == [255] * len(cuts)
    assert next(left, None) is None
