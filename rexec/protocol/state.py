"""What may be sent when: two tables, and nothing that decides beside them.

`HANDSHAKE` is followed once per connection, `CHANNEL` once per channel. A row reads: in this state,
when that side sends this frame, the new state is so. What has no row is an error of its sender. Both
sides follow the same tables, each in the order in which it sends and receives; that no legal race
leads to a missing row is proved by a search over all interleavings in the tests.

Before the welcome a client may already have sent session frames; they wait unread (`JUDGING`), and
are dropped where the proof was refused (`REFUSED`). Frames to a closed channel are late, not wrong:
the channel stays `CLOSED` and they are dropped.
"""

from __future__ import annotations

from rexec.choice import Choice
from rexec.protocol import frames as f
from rexec.protocol.frames import Frame


class Role(Choice):
    """The two ends of a connection."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def other(self) -> Role:
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class Handshake(Choice):
    """Where a connection stands between its first byte and its last."""

    START = "start"
    CLIENT_GREETED = "client greeted"  # only the client's hello
    SERVER_GREETED = "server greeted"  # only the server's hello
    GREETED = "greeted"  # both hellos
    EARLY = "early"  # a proof, sent before the server's hello was seen
    JUDGING = "judging"  # both hellos and a proof
    REFUSED = "refused"  # the last proof was not accepted; another may follow
    OPEN = "open"
    CLOSED = "closed"


class Channel(Choice):
    """Where one channel stands."""

    CLOSED = "closed"
    OPENING = "opening"  # Exec sent, no decision yet
    RUNNING = "running"
    ANSWERING = "answering"  # a Query, not a command


CLIENT, SERVER = Role.CLIENT, Role.SERVER
LATE = (f.Stdin, f.Eof, f.Stop, f.Credit, f.Signal, f.Resize)  # what may cross the end of a command
OUTPUT = (f.Stdout, f.Stderr, f.Eof, f.Stop, f.Credit)
OPENERS = (f.Exec, f.Query)  # what opens a channel
SESSION = (*OPENERS, *LATE)  # what a client may send before it was welcomed
LIVE = (f.Ack, f.Ping, f.Pong)

HANDSHAKE: dict[tuple[Handshake, Role, type[Frame]], Handshake] = {
    (Handshake.START, CLIENT, f.ClientHello): Handshake.CLIENT_GREETED,
    (Handshake.START, SERVER, f.ServerHello): Handshake.SERVER_GREETED,
    (Handshake.CLIENT_GREETED, SERVER, f.ServerHello): Handshake.GREETED,
    (Handshake.SERVER_GREETED, CLIENT, f.ClientHello): Handshake.GREETED,
    (Handshake.CLIENT_GREETED, CLIENT, f.Proof): Handshake.EARLY,
    (Handshake.EARLY, SERVER, f.ServerHello): Handshake.JUDGING,
    (Handshake.GREETED, CLIENT, f.Proof): Handshake.JUDGING,
    (Handshake.REFUSED, CLIENT, f.Proof): Handshake.JUDGING,
    (Handshake.JUDGING, SERVER, f.Welcome): Handshake.OPEN,
    (Handshake.JUDGING, SERVER, f.Refused): Handshake.REFUSED,
    **{
        (state, CLIENT, frame): state
        for state in (Handshake.EARLY, Handshake.JUDGING, Handshake.REFUSED)
        for frame in SESSION
    },
    **{(Handshake.OPEN, CLIENT, frame): Handshake.OPEN for frame in (*SESSION, *LIVE)},
    **{
        (Handshake.OPEN, SERVER, frame): Handshake.OPEN
        for frame in (f.Started, f.Denied, f.Failed, f.Exit, f.Notice, f.Receipt, *OUTPUT, *LIVE)
    },
    (Handshake.OPEN, CLIENT, f.Goodbye): Handshake.CLOSED,
    **{(state, SERVER, f.Goodbye): Handshake.CLOSED for state in Handshake if state is not Handshake.CLOSED},
}

CHANNEL: dict[tuple[Channel, Role, type[Frame]], Channel] = {
    (Channel.CLOSED, CLIENT, f.Exec): Channel.OPENING,
    (Channel.CLOSED, CLIENT, f.Query): Channel.ANSWERING,
    **{(state, CLIENT, frame): state for state in Channel for frame in LATE},
    (Channel.OPENING, SERVER, f.Started): Channel.RUNNING,
    (Channel.OPENING, SERVER, f.Denied): Channel.CLOSED,
    (Channel.OPENING, SERVER, f.Failed): Channel.CLOSED,
    (Channel.OPENING, SERVER, f.Exit): Channel.CLOSED,
    **{(Channel.RUNNING, SERVER, frame): Channel.RUNNING for frame in (*OUTPUT, f.Notice, f.Receipt)},
    (Channel.RUNNING, SERVER, f.Exit): Channel.CLOSED,
    (Channel.ANSWERING, SERVER, f.Stdout): Channel.ANSWERING,
    (Channel.ANSWERING, SERVER, f.Denied): Channel.CLOSED,
    (Channel.ANSWERING, SERVER, f.Exit): Channel.CLOSED,
}
