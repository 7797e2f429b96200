"""One good frame of every kind, the ways into every state, and two cores back to back."""

from __future__ import annotations

from collections import deque

from rexec.errors import RemoteProtocolError
from rexec.protocol import frames as f
from rexec.protocol.buffer import is_session_frame, pack
from rexec.protocol.connection import RESUME, Connection
from rexec.protocol.frames import Cause, Farewell, Form, Frame, Stream
from rexec.protocol.state import Channel, Handshake, Role

CLIENT, SERVER = Role.CLIENT, Role.SERVER
Step = tuple[Role, Frame]  # who sends what, on channel 1 where it has one
Event = tuple[int, Frame]

CLIENT_HELLO = f.ClientHello(bytes(range(16)), 0, "rexec 0.1.0", (RESUME,))
SERVER_HELLO = f.ServerHello(bytes(range(32)), b"", "rexec 0.1.0", (RESUME,))
PROOF = f.Proof("publickey", "alice", b"signed")
WELCOME = f.Welcome("alice")
REFUSED = f.Refused("not accepted")
EXEC = f.Exec(1, Form.ARGV, (b"ls", b"-l"))
STARTED = f.Started("cmds.txt:4")
GOODBYE = f.Goodbye(Farewell.DONE)
EXIT = f.Exit(Cause.EXITED, 2, stdout=4, stderr=4)

SAMPLES: tuple[Frame, ...] = (
    CLIENT_HELLO,
    SERVER_HELLO,
    PROOF,
    WELCOME,
    REFUSED,
    f.Ack(0),
    f.Ping(7),
    f.Pong(7),
    GOODBYE,
    EXEC,
    f.Query("list"),
    STARTED,
    f.Denied("no rule permits it", "cmds.txt:4"),
    f.Failed(127, "no such program", "cmds.txt:4"),
    EXIT,
    f.Notice("cmds.txt:4 is noexec: /bin/sh was not started"),
    f.Receipt(b'{"receipt":1}\n'),
    f.Stdin(b"in\n"),
    f.Stdout(b"out\n"),
    f.Stderr(b"err\n"),
    f.Eof(Stream.STDIN),
    f.Stop(Stream.STDOUT),
    f.Credit(Stream.STDOUT, 300_000),
    f.Signal("TERM"),
    f.Resize(80, 24),
)

# Frames that name a stream mean another one when the server sends them.
_FROM_SERVER = (f.Eof(Stream.STDOUT), f.Stop(Stream.STDIN), f.Credit(Stream.STDIN, 300_000))


def sample(kind: type[Frame], sender: Role) -> Frame:
    """Return a good frame of this type, as this side would send it."""
    choice = (*_FROM_SERVER, *SAMPLES) if sender is SERVER else SAMPLES
    return next(frame for frame in choice if type(frame) is kind)


_GREETED: tuple[Step, ...] = ((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO))
_JUDGING: tuple[Step, ...] = (*_GREETED, (CLIENT, PROOF))
_OPEN: tuple[Step, ...] = (*_JUDGING, (SERVER, WELCOME))

HANDSHAKE_ROUTES: dict[Handshake, tuple[Step, ...]] = {
    Handshake.START: (),
    Handshake.CLIENT_GREETED: _GREETED[:1],
    Handshake.SERVER_GREETED: _GREETED[1:],
    Handshake.GREETED: _GREETED,
    Handshake.EARLY: ((CLIENT, CLIENT_HELLO), (CLIENT, PROOF)),
    Handshake.JUDGING: _JUDGING,
    Handshake.REFUSED: (*_JUDGING, (SERVER, REFUSED)),
    Handshake.OPEN: _OPEN,
    Handshake.CLOSED: (*_OPEN, (SERVER, GOODBYE)),
}

CHANNEL_ROUTES: dict[Channel, tuple[Step, ...]] = {
    Channel.CLOSED: _OPEN,
    Channel.OPENING: (*_OPEN, (CLIENT, EXEC)),
    Channel.RUNNING: (*_OPEN, (CLIENT, EXEC), (SERVER, STARTED)),
    Channel.ANSWERING: (*_OPEN, (CLIENT, f.Query("list"))),
}

OVER: tuple[Step, ...] = (*CHANNEL_ROUTES[Channel.RUNNING], (SERVER, EXIT))  # closed again


def channel_of(frame: Frame) -> int:
    return 1 if is_session_frame(type(frame)) else 0


def wire(frame: Frame) -> bytes:
    """Return a frame's bytes, whatever state its sender is in."""
    return pack(frame, channel_of(frame))


def events(connection: Connection, data: bytes = b"") -> list[Event]:
    """Feed bytes and return all events that come of them."""
    connection.receive_data(data)
    found = []
    while (event := connection.next_event()) is not None:
        found.append(event)
    return found


def drive(role: Role, route: tuple[Step, ...]) -> Connection:
    """Return a connection of this side that went a route."""
    connection = Connection(role)
    for sender, frame in route:
        if sender is role:
            connection.send(frame, channel_of(frame))
        else:
            events(connection, wire(frame))
    return connection


def open_(role: Role) -> Connection:
    """Return a connection of this side after the welcome."""
    return drive(role, HANDSHAKE_ROUTES[Handshake.OPEN])


def complaint(connection: Connection, data: bytes) -> str:
    """Return what the core says against these bytes, or "" where it takes them."""
    try:
        events(connection, data)
    except RemoteProtocolError as error:
        return str(error)
    return ""


class Pair:
    """Two cores back to back; what one sends waits in a queue until it is delivered."""

    def __init__(self, client: Connection | None = None, server: Connection | None = None) -> None:
        self.cores = {CLIENT: client or Connection(CLIENT), SERVER: server or Connection(SERVER)}
        self.queues: dict[Role, deque[bytes]] = {CLIENT: deque(), SERVER: deque()}
        self.heard: dict[Role, list[Event]] = {CLIENT: [], SERVER: []}

    @property
    def client(self) -> Connection:
        return self.cores[CLIENT]

    @property
    def server(self) -> Connection:
        return self.cores[SERVER]

    def push(self, sender: Role, data: bytes) -> None:
        if data:
            self.queues[sender].append(data)
        self.heard[sender] += events(self.cores[sender])  # after a verdict, what stood behind the proof

    def send(self, sender: Role, frame: Frame, channel: int | None = None) -> None:
        channel = channel_of(frame) if channel is None else channel
        self.push(sender, self.cores[sender].send(frame, channel))

    def deliver(self, sender: Role) -> list[Event]:
        """Deliver the oldest piece that this side sent; return what the other side heard."""
        receiver = sender.other
        new = events(self.cores[receiver], self.queues[sender].popleft())
        if any(isinstance(frame, f.Welcome) for _, frame in new):
            self.push(receiver, self.cores[receiver].again())
        self.heard[receiver] += new
        return new

    def settle(self) -> None:
        """Deliver all that is under way."""
        while any(self.queues.values()):
            for sender in (CLIENT, SERVER):
                while self.queues[sender]:
                    self.deliver(sender)

    def greet(self) -> Pair:
        """Go through the handshake."""
        for sender, frame in HANDSHAKE_ROUTES[Handshake.OPEN]:
            self.send(sender, frame)
            self.settle()
        return self

    def run(self, *steps: Step) -> Pair:
        """Send frames and deliver each before the next."""
        for sender, frame in steps:
            self.send(sender, frame)
            self.settle()
        return self
