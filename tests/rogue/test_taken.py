"""A listener that was taken over starts nothing that the list does not name, and acts for nobody who is away.

architecture.md: "a taken listener may act as those who connect to it while it is taken, and as nobody
else". The test is the listener: it holds the socket to the runner and sends what it likes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import selectors
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.errors import ConnectionLost
from rexec.protocol.frames import Cause, Form, Pty
from rexec.server import orders
from rexec.server.orders import MESSAGES, Message
from rexec.server.ordersocket import OrderSocket
from tests.regress.conftest import resident_kib, wait_until
from tests.rogue import wire
from tests.rogue.client import PATIENCE
from tests.rogue.conftest import Target
from tests.rogue.wire import Key

RULES = """\
cat
sleep 1000
    timeout 1s
env
[alice]
echo ...
touch {canary}
"""
TAKEN = str(Path(__file__).with_name("taken.py"))


class Taken(Target):
    """A server, and in our hands what its listener had."""

    link: OrderSocket
    taker: socket.socket

    def take(self, *options: str) -> Taken:
        """Start the server and take its listener over."""
        path = str(self.folder / "taken")
        with socket.create_server(path, family=socket.AF_UNIX) as waiting:
            words = [sys.executable, TAKEN, *self.server_words(*options)[1:]]
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder,
                env=self.environment(TAKEN=path),
            )  # fmt: skip
            self.follow(self.process)
            waiting.settimeout(PATIENCE)
            self.taker, _ = waiting.accept()
        _, (descriptor,), _, _ = socket.recv_fds(self.taker, 64, 1)
        self.link = OrderSocket(socket.socket(fileno=descriptor))
        self.reports: list[Message] = []
        self.descriptors_of: dict[int, list[int]] = {}
        return self

    def leave(self) -> list[str]:
        """Let go of it all, and return what the server said when it is gone."""
        self.let_go()
        assert self.process is not None
        self.process.wait(PATIENCE)
        self.wait_for("<end of log>")
        return self.lines

    def let_go(self) -> None:
        """Close what we hold: the runner sees the end of its listener."""
        self.link.socket.close()
        self.taker.close()
        while self.descriptors_of:
            for descriptor in self.descriptors_of.popitem()[1]:
                os.close(descriptor)

    # --- orders and reports -----------------------------------------------------------------------

    def order(self, *messages: Message) -> None:
        for message in messages:
            self.link.send(message)
        while not self.link.flush():
            self.hear(selectors.EVENT_READ | selectors.EVENT_WRITE)

    def hear(self, events: int = selectors.EVENT_READ) -> None:
        """Take the reports that are there, waiting for some."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.link, events)
            assert selector.select(PATIENCE), self.lines
        for message in self.link.receive():
            self.reports.append(message)
            if isinstance(message, orders.Begun):
                self.descriptors_of[message.child] = self.link.take_descriptors()

    def answers(self) -> bool:
        """Send what goes, wait, and take what is there; False where the runner is gone."""
        try:
            self.hear(selectors.EVENT_READ | (0 if self.link.flush() else selectors.EVENT_WRITE))
        except ConnectionLost:
            return False
        return True

    def await_report(self, wanted: Callable[[Message], bool]) -> Message:
        """Return the first report that is wanted, and forget it."""
        while not (found := [report for report in self.reports if wanted(report)]):
            self.hear()
        self.reports.remove(found[0])
        return found[0]

    def verdict(self, child: int) -> Message:
        """Return what became of a command: Begun, Rejected or Broken."""
        kinds = (orders.Begun, orders.Rejected, orders.Broken)
        return self.await_report(lambda r: isinstance(r, kinds) and r.child == child)

    def question(self, session: int, number: int) -> orders.Answer:
        self.order(orders.Ask(session, number, "list", (), False, None, ()))
        found = self.await_report(lambda r: isinstance(r, orders.Answer) and r.question == number)
        assert isinstance(found, orders.Answer)
        return found

    def judge(self, session: int, key: Key, user: bytes = b"", **changes: object) -> orders.Judge:
        """Make the order of an honest listener when a client proves itself, but for the changes."""
        finished, hello = os.urandom(32), wire.client_hello()
        public = base64.b64decode((self.home / "host_ed25519.pub").read_text().split()[1])
        spki = bytes.fromhex("302a300506032b6570032100") + public[-32:]  # RFC 8410, 4: Ed25519
        message = wire.transcript(
            key.blob, kind=wire.TLS_FINISHED, binding=finished, spki_sha256=hashlib.sha256(spki).digest(),
            hello=hello, user=user,
        )  # fmt: skip
        body = wire.proof_body(wire.TLS_FINISHED, b"", key.blob, key.sign(message))
        honest = orders.Judge(
            session, session, "publickey", user.decode(), body, hello, finished, os.urandom(32),
            "127.0.0.1:1", "127.0.0.1", "127.0.0.1 1 127.0.0.1 2",
        )  # fmt: skip
        return honest.replace(**changes)

    def judged(self, order: orders.Judge) -> orders.Judged:
        self.order(order)
        found = self.await_report(lambda r: isinstance(r, orders.Judged) and r.session == order.session)
        assert isinstance(found, orders.Judged)
        return found

    def come_in(self, session: int, key: Key) -> None:
        assert self.judged(self.judge(session, key)).accepted

    def start_command(self, session: int, child: int, *words: bytes, **more: object) -> Message:
        self.order(start(session, child, *words, **more))
        return self.verdict(child)

    def output(self, child: int) -> bytes:
        """Read the stdout of a command that began, to its end, and say that it is drained."""
        stdin, stdout, _ = self.descriptors_of[child]
        os.set_blocking(stdout, True)
        os.close(stdin)
        self.descriptors_of[child].remove(stdin)
        found = b""
        while data := os.read(stdout, 65_536):
            found += data
        self.order(orders.Drained(child, len(found), 0))
        self.await_report(lambda r: isinstance(r, orders.Ended) and r.child == child)
        return found

    def is_in_order(self) -> bool:
        """Tell whether the runner does what it should, for alice who comes in anew."""
        session = random.getrandbits(40)
        self.come_in(session, self.alice)
        assert isinstance(self.start_command(session, session, b"echo", b"still here"), orders.Begun)
        return self.output(session) == b"still here\n"

    def ends_in_order(self) -> bool:
        """Tell that the runner gave the listener up, said so in one line, and left nothing behind."""
        line = self.wait_for("stop why=")
        assert "the listener broke the protocol" in line
        self.leave()
        assert not self.sang()
        return self.has_no_traceback()


def start(session: int, child: int, *words: bytes, **more: object) -> orders.Start:
    plain = orders.Start(session, child, Form.ARGV, words, (), None, None, True, None, "")
    return plain.replace(**more)


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Taken]:
    host = Taken(tmp_path)
    host.allow_list.write_text(RULES.format(canary=host.canary))
    yield host.take()
    host.let_go()
    host.end()
    assert host.has_no_traceback()
    assert not host.sang()


def rejected(report: Message) -> bool:
    return isinstance(report, orders.Rejected)


def test_an_honest_listener_would_be_served(taken: Taken) -> None:
    """What the tests here make by hand is right where nothing of it is changed."""
    assert taken.is_in_order()


# --- who ------------------------------------------------------------------------------------------


def test_nothing_runs_for_a_session_that_was_never_judged(taken: Taken) -> None:
    """Promise: "a taken listener starts nothing that the list does not name": forged sessions."""
    taken.come_in(5, taken.bob)
    for child, session in enumerate((0, 1, 4, 6, 2**64 - 1), 10):
        assert rejected(taken.start_command(session, child, *taken.touch))
        assert not taken.question(session, child).known
    assert taken.is_in_order()


def test_a_session_is_its_users_alone(taken: Taken) -> None:
    """architecture.md: "may act as those who connect to it ..., and as nobody else": bob is not alice."""
    taken.come_in(1, taken.bob)
    assert rejected(taken.start_command(1, 1, *taken.touch))
    assert isinstance(taken.start_command(1, 2, b"cat"), orders.Begun)
    assert taken.question(1, 3).known


def test_a_proof_is_one_users_and_one_connections(taken: Taken) -> None:
    """security.md, Protocol: "key A named and key B signing, user changed half way", by the listener."""
    good = taken.judge(1, taken.alice)
    other = taken.judge(1, taken.bob)
    for flaw in (
        {"user": "bob"}, {"user": "root"}, {"finished": os.urandom(32)}, {"finished": b""},
        {"hello": wire.client_hello()}, {"method": "none"}, {"body": b""}, {"body": other.body},
        {"body": good.body[:-1] + bytes([good.body[-1] ^ 1])},
    ):  # fmt: skip
        assert not taken.judged(good.replace(**flaw)).accepted
    assert not taken.judged(taken.judge(1, taken.mallory)).accepted
    assert rejected(taken.start_command(1, 1, *taken.touch))
    assert taken.judged(good).accepted


def test_a_proof_that_was_accepted_is_worth_nothing_any_more(taken: Taken) -> None:
    """security.md, Protocol: "replayed proof", by the listener itself, whatever it calls the connection."""
    proof = taken.judge(1, taken.alice)
    assert taken.judged(proof).accepted
    assert not taken.judged(proof.replace(session=2)).accepted
    assert not taken.judged(proof.replace(session=3, connection=3)).accepted
    taken.order(orders.Leave(1))
    assert not taken.judged(proof).accepted  # who has gone is gone
    assert not taken.judged(proof.replace(nonce=os.urandom(32))).accepted
    assert rejected(taken.start_command(1, 1, *taken.touch))


@pytest.mark.parametrize(
    "places",
    [
        *({"ends": text} for text in ("a\0b", "a\nLD_PRELOAD=x", "\u202e")),
        *({"peer": text} for text in ("everywhere", "1.2.3", "127.0.0.1\0", "::1%eth0")),
    ],
)
def test_where_a_client_comes_from_is_an_address(taken: Taken, places: dict[str, str]) -> None:
    """security.md, Environment: REXEC_CONNECTION is one line that nobody makes up a variable with."""
    taken.order(taken.judge(1, taken.alice, **places))
    assert taken.ends_in_order()


# --- what -----------------------------------------------------------------------------------------


def test_what_the_list_does_not_name_is_not_started(taken: Taken) -> None:
    """security.md, Around the allow list: "The client's parser is never trusted", nor is the listener."""
    taken.come_in(1, taken.bob)
    canary = os.fsencode(taken.canary)
    tries: list[tuple[tuple[bytes, ...], dict[str, object]]] = [
        (taken.touch, {}),
        ((b"/usr/bin/touch", canary), {}),
        ((b"sh", b"-c", b"touch " + canary), {}),
        ((), {}),
        ((b"",), {}),
        ((b"cat\0", canary), {}),
        ((b"cat", b"a\0b"), {}),
        ((b"cat; touch " + canary,), {"form": Form.STRING}),
        ((b"cat", b"x"), {"form": Form.STRING}),
        ((b"touch",), {"form": Form.SUBSYSTEM}),
        ((b"@put", canary), {"form": Form.COPY}),
        ((b"@put", canary), {}),
        ((b"cat",), {"env": ((b"LD_PRELOAD", b"x"),)}),
        ((b"cat",), {"env": ((b"REXEC_USER", b"alice"),)}),
        ((b"cat",), {"env": ((b"A\0", b""),)}),
        ((b"cat",), {"cwd": b"/"}),
        ((b"cat",), {"cwd": b"\0"}),
        ((b"cat",), {"pty": Pty("xterm\0", 80, 24)}),
        ((b"cat",), {"pty": Pty("../../x", 80, 24)}),
        ((b"cat",), {"unknown": "walk on water"}),
        (tuple(b"x" for _ in range(30_000)), {}),
    ]
    for child, (words, more) in enumerate(tries):
        assert rejected(taken.start_command(1, child, *words, **more)), (words, more)
    assert isinstance(taken.start_command(1, 99, b"cat", b"x" * 3_000_000), orders.Broken)
    assert taken.is_in_order()


def test_odd_terminals_and_times_do_no_harm(taken: Taken) -> None:
    """security.md, Protocol: a number from the peer is hostile, and the listener is one."""
    taken.come_in(1, taken.alice)
    oddities: list[dict[str, object]] = [
        {"pty": Pty("", 0, 0, 0, 0, b"\xff" * 100)},
        {"pty": Pty("xterm", 65_535, 65_535, 65_535, 65_535, bytes(range(256)))},
        {"timeout_ms": 0},
        {"timeout_ms": 2**64 - 1},
    ]
    for child, more in enumerate(oddities):
        taken.start_command(1, child, b"echo", **more)
    assert taken.is_in_order()


def test_a_revoked_key_ends_what_the_listener_can_do_with_it(taken: Taken) -> None:
    """security.md, Protocol: "Revoked or expired keys ...: judged again at every command"."""
    taken.come_in(1, taken.alice)
    (taken.home / "authorized_keys").write_text("")
    assert rejected(taken.start_command(1, 1, *taken.touch))
    assert not taken.judged(taken.judge(2, taken.alice)).accepted


def test_a_time_limit_holds_without_the_listener(taken: Taken) -> None:
    """Two processes: who takes no reports gets no answers, and no command more time than its rule gives."""
    taken.come_in(1, taken.alice)
    begun = taken.start_command(1, 1, b"sleep", b"1000")
    assert isinstance(begun, orders.Begun)
    runner = taken.runner_pid()
    (leader,) = map(int, Path(f"/proc/{runner}/task/{runner}/children").read_text().split())
    before = resident_kib(runner)
    taken.link.socket.setblocking(False)
    asked = orders.Ask(1, 2, "list", (), False, None, ())
    for _ in range(20_000):  # and nothing of the answers is read
        taken.link.send(asked)
    wait_until(lambda: state_of(leader) in "ZX", "the command's time is over")
    assert resident_kib(runner) < before + 16_384
    taken.leave()


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


# --- the socket between the two -------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff\x02",  # a length of 4 GiB
        b"\x00\x00\x00\x00\x00",  # no such order
        b"\x00\x00\x00\x04\x02aaaa",  # a Start of four bytes
        struct.pack("!IB", 13, 37) + bytes(13),  # a report is no order
        random.Random(4).randbytes(4096),
        bytes(4096),
    ],
)  # fmt: skip
def test_nonsense_ends_the_server_in_order(taken: Taken, sent: bytes) -> None:
    """security.md, Protocol: "Length 0xFFFFFFFF", between the two processes."""
    taken.come_in(1, taken.alice)
    taken.start_command(1, 1, b"cat")
    taken.link.socket.sendall(sent)
    assert taken.ends_in_order()


@pytest.mark.parametrize(
    "twice",
    [
        start(1, 1, b"cat"),
        orders.End(1, Cause.EXITED),
        orders.End(1, Cause.TIMEOUT),
        orders.Adopt(""),
        orders.Over(1),
        orders.Reloaded(True, ""),
    ],
    ids=repr,
)
def test_what_no_listener_says_ends_the_server_in_order(taken: Taken, twice: Message) -> None:
    """A command that runs is not started again, nor how it ended made up, nor adopted what nobody offered."""
    taken.come_in(1, taken.alice)
    assert isinstance(taken.start_command(1, 1, b"cat"), orders.Begun)
    taken.order(twice)
    assert taken.ends_in_order()


def test_a_session_is_not_judged_twice(taken: Taken) -> None:
    """A session does not change hands: bob's does not become alice's."""
    taken.come_in(1, taken.bob)
    taken.order(taken.judge(1, taken.alice))
    assert taken.ends_in_order()


def test_descriptors_for_the_runner_go_nowhere(taken: Taken) -> None:
    """security.md, Processes: "descriptors left over": who sends some keeps none open there."""
    taken.come_in(1, taken.alice)
    place = f"/proc/{taken.runner_pid()}/fd"
    before = len(os.listdir(place))
    data = struct.pack("!IB", 12, orders.Leave.code) + struct.pack("!QI", 99, 0)
    with open("/etc/passwd", "rb") as file:
        for _ in range(100):
            socket.send_fds(taken.link.socket, [data], [file.fileno()] * 200)
    assert taken.is_in_order()
    wait_until(lambda: len(os.listdir(place)) <= before, "all are closed")


def test_a_storm_of_reloads_changes_nothing(taken: Taken) -> None:
    """security.md, Processes: "SIGHUP storm": what is offered is what the disk has."""
    taken.come_in(1, taken.bob)
    taken.order(*[orders.Reload("storm")] * 300)
    assert rejected(taken.start_command(1, 1, *taken.touch))
    offered = [taken.await_report(lambda r: isinstance(r, orders.Offer)) for _ in range(300)]
    assert len(set(offered)) == 1
    taken.allow_list.write_text("* ** bad")
    taken.order(orders.Reload("bad"))
    answer = taken.await_report(lambda r: isinstance(r, orders.Reloaded))
    assert isinstance(answer, orders.Reloaded)
    assert not answer.accepted
    assert taken.is_in_order()


def test_no_file_is_removed_that_is_not_a_socket_of_ours(taken: Taken) -> None:
    """The runner removes the files of Unix sockets; the listener's word is not enough for any other."""
    precious = taken.folder / "precious"
    precious.write_text("x")
    with socket.create_server(str(taken.folder / "others"), family=socket.AF_UNIX):
        for name in (precious, taken.folder / "others", taken.allow_list, "", "/", "\0"):
            taken.order(orders.Bound(str(name)))
        assert taken.is_in_order()
        taken.leave()
        assert (taken.folder / "others").exists()
    assert precious.exists()


def test_signals_and_ends_reach_what_runs_here_and_nobody_else(taken: Taken) -> None:
    """A taken listener may harm those whom it serves; there is no order that reaches another process."""
    taken.come_in(1, taken.alice)
    assert isinstance(taken.start_command(1, 1, b"cat"), orders.Begun)
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        for number in (stranger.pid, os.getpid(), taken.pid, taken.runner_pid(), 0, 1 << 40, 2**64 - 1):
            if number != 1:
                taken.order(orders.Send(number, "KILL"), orders.End(number, Cause.LOST))
        for name in ("SEGV", "KILLL", "", "0", "kill", "\0", "SIGKILL"):
            taken.order(orders.Send(1, name))
        assert taken.is_in_order()
        assert stranger.poll() is None
        stranger.kill()
    taken.order(orders.Send(1, "KILL"), orders.Drained(1, 0, 0))
    taken.await_report(lambda r: isinstance(r, orders.Ended) and r.child == 1)


def test_all_ends_with_the_listener(taken: Taken) -> None:
    """architecture.md: when the listener is gone, whatever it asked for is ended."""
    taken.come_in(1, taken.alice)
    for child in range(20):
        assert isinstance(taken.start_command(1, child, b"cat"), orders.Begun)
    taken.leave()
    assert taken.count("rexec-server: end ") == 20


# --- whatever comes to mind -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed", [0, 1, 2, 3, 4, 7]
)  # a seed whose first orders break the rules tries nothing
def test_random_orders_start_nothing_outside_the_list(taken: Taken, seed: int) -> None:
    """Promise: "a test build of the listener that sends the runner whatever it likes gets nothing"."""
    chance = random.Random(seed)
    for session in (1, SEAT):
        taken.come_in(session, taken.bob)
    for _ in range(500):
        taken.link.send(whatever(chance, taken))
    taken.link.send(orders.Ask(SEAT, LAST, "list", (), False, None, ()))
    while taken.answers() and not any(getattr(report, "question", 0) == LAST for report in taken.reports):
        pass
    taken.leave()
    assert taken.count("rexec-server: allow ") > 20
    for line in (line for line in taken.lines if "stop why=" in line):
        assert "the listener broke the protocol" in line


SEAT = 1 << 50  # a session that is not left by chance
LAST = 1 << 51  # a question that is not asked by chance


def whatever(chance: random.Random, host: Taken) -> Message:
    """Make an order of any kind with fields of any value; most of them make some sense."""
    if chance.random() < 0.2:
        return start(SEAT, chance.getrandbits(64), chance.choice([b"cat", b"env", b"touch"]), stdin=False)
    if chance.random() < 0.1:
        return host.judge(chance.getrandbits(64), chance.choice([host.alice, host.bob, host.mallory]))
    sensible = (
        orders.Start,
        orders.Ask,
        orders.Send,
        orders.End,
        orders.Drained,
        orders.Leave,
        orders.Reload,
    )
    everything = [message for code, message in MESSAGES.items() if code < 32]
    kind = chance.choice(sensible if chance.random() < 0.998 else everything)
    return kind(*[_value(chance, annotation, host) for _, annotation in kind.fields])


def _value(chance: random.Random, annotation: str, host: Taken) -> object:
    if annotation.endswith(" | None") and chance.random() < 0.5:
        return None
    words = (
        b"cat",
        b"touch",
        os.fsencode(host.canary),
        b"sh",
        b"-c",
        b"",
        b"\0",
        chance.randbytes(5),
        b"env",
    )
    texts = ("", "TERM", "list", "explain", "bob", chance.randbytes(3).hex())
    made: dict[str, Callable[[], object]] = {
        "u64": lambda: chance.choice([1, 1, chance.getrandbits(10), chance.getrandbits(64)]),
        "flag": lambda: chance.random() < 0.5,
        "text": lambda: chance.choice(texts),
        "blob": lambda: chance.randbytes(chance.randrange(64)),
        "words": lambda: tuple(chance.choices(words, k=chance.randrange(4))),
        "pairs": lambda: tuple((chance.choice(words), b"x") for _ in range(chance.randrange(2))),
        "Form": lambda: chance.choice(list(Form)),
        "Cause": lambda: chance.choice(sorted(orders.END_CAUSES)),
        "Pty": lambda: Pty("xterm", chance.getrandbits(16), 1, 0, 0, chance.randbytes(chance.randrange(9))),
        "Recorded": lambda: orders.Recorded(chance.getrandbits(64), b"x", True),
    }
    return made[annotation.removesuffix(" | None")]()
