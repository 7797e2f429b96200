"""What listener and runner say to each other: orders down, reports up, over one Unix socket.

A report may bring descriptors for the child it speaks of; an order never does. How messages travel is
`ordersocket`'s. The two processes are one program of one version, so that nothing here is versioned.
"""

from __future__ import annotations

from rexec.protocol.frames import Cause, Form, Pty
from rexec.protocol.wire import Record, blob, flag, pairs, text, u8, u32, u64, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

MESSAGES: dict[int, type[Message]] = {}


class Message(Record):
    """Base of orders and reports."""

    if TYPE_CHECKING:
        code: ClassVar[int]

    def __init_subclass__(cls, code: int) -> None:
        cls.code = code
        MESSAGES[code] = cls


# --- orders: listener to runner ------------------------------------------------------------------


class Judge(Message, code=1):
    """Verify a proof for a session."""

    session: u64
    connection: u64
    method: text
    user: text
    body: blob
    hello: blob
    finished: blob  # the TLS client Finished; empty in the clear
    nonce: blob  # of the server's hello
    here: text  # our address of this connection, which a client in the clear must have dialled
    peer: text
    ends: text  # the value of REXEC_CONNECTION
    name: blob = b""  # of a session whose client may ask again for its commands


class Start(Message, code=2):
    """Decide about a command and start it."""

    session: u64
    child: u64
    form: Form
    words: words
    env: pairs
    cwd: blob | None
    timeout_ms: u64 | None
    stdin: flag
    pty: Pty | None
    unknown: text  # what was asked for besides that this server does not do; empty for nothing
    receipt: flag = False
    confirm: text | None = None
    offered: pairs = ()
    number: u64 = 0  # its id within the session
    begun: flag = False  # the client knows that it was started once: it is only told how that ended
    settled: blob = b""  # ids of eight bytes that the client will not ask for again
    detach: flag = False


class Ask(Message, code=3):
    """Answer a question about the policy."""

    session: u64
    question: u64
    subject: text
    words: words
    pty: flag
    cwd: blob | None
    env: pairs


class Send(Message, code=4):
    """Send a signal to a child's group."""

    child: u64
    signal: text


class End(Message, code=5):
    """End a child's group: TERM, and KILL after a while."""

    child: u64
    cause: Cause


class Recorded(Record):
    """What a recording holds in the end."""

    size: u64
    sha256: blob
    whole: flag


class Drained(Message, code=6):
    """Both output streams of a child are at their end, or its time to linger is over."""

    child: u64
    stdout: u64
    stderr: u64
    stdin: u64 = 0  # bytes that it was given
    recorded: Recorded | None = None


class Leave(Message, code=7):
    """A session is over."""

    session: u64
    settled: blob = b""  # as in `Start`


class Reload(Message, code=8):
    """Read the allow list, the keys and the configuration again; answered by an `Offer`, or `Reloaded`."""

    reason: text


class Adopt(Message, code=9):
    """The listener can serve with what was offered, or says why not; answered by `Reloaded`."""

    refusal: text


class Bound(Message, code=10):
    """A Unix socket has its name on the disk, which the runner removes at the end."""

    name: text


class Opened(Message, code=20):
    """Every socket is open: the run begins, and its log; answered by `Ready`."""


class Stopping(Message, code=21):
    """The listener was told to stop, by this signal."""

    signal: text


class Bequeathed(Message, code=11):
    """A successor has the Unix sockets: their names stay."""


class Beat(Message, code=12):
    """Say that you are alive; answered by `Beaten`."""


# --- reports: runner to listener -----------------------------------------------------------------


class Judged(Message, code=32):
    """A proof was accepted, or not."""

    session: u64
    accepted: flag
    user: text = ""
    busy: text = ""  # why not, for one whose key is good
    key: text = ""  # its fingerprint: what a session that is taken up again belongs to


class Bounds(Record):
    """What the listener holds a child to, since it alone sees the bytes; `kill`: what `output` means."""

    idle_ms: u64 | None
    output: u64 | None
    kill: flag
    stdin: u64 | None


class Recording(Record):
    """What is to be recorded of a command; the last descriptor that its `Begun` brings is the file's."""

    header: blob  # what stands in it
    input: flag  # what is typed too
    required: flag  # the command is to be ended where it cannot be written


class Begun(Message, code=33):
    """A child runs; brings its stdin (where it has one), stdout and stderr, or its terminal alone."""

    child: u64
    rule: text
    stdin: flag
    terminal: flag
    linger_ms: u32
    bounds: Bounds | None
    recording: Recording | None = None
    resume_ms: u64 | None = None  # how long it may run without its client; None: as the server says


class Rejected(Message, code=34):
    """The policy said no."""

    child: u64
    message: text
    rule: text | None
    confirm: text | None = None  # the text that is missing, and nothing else


class Broken(Message, code=35):
    """The program is not there or could not be started."""

    child: u64
    exit_code: u8
    message: text
    rule: text


class Repeated(Message, code=43):
    """The command was asked for before; this is what is known of it, and nothing is started."""

    child: u64
    is_other: flag  # no: the id was used for something else
    cause: Cause = Cause.LOST
    status: u8 = 0
    signal: text = ""
    message: text = ""


class Over(Message, code=36):
    """The child has exited and its streams are not known to be drained."""

    child: u64


class Ended(Message, code=37):
    """The child is reaped and its group is gone; nothing more is said of it."""

    child: u64
    cause: Cause
    status: u8
    signal: text
    user_us: u64
    system_us: u64
    max_rss_kib: u64
    wall_us: u64
    receipt: blob = b""  # for the client, where it asked for one
    truncated: flag = False  # not all that a detached command wrote was there to be shown


class Answer(Message, code=38):
    """The answer to a question, as bytes for the client's stdout."""

    question: u64
    known: flag
    body: blob


class Reloaded(Message, code=39):
    """The result of a reload."""

    accepted: flag
    message: text


class Offer(Message, code=40):
    """What the listener serves with, as read anew."""

    name: text
    certificate: blob  # PEM; empty where there is no TLS
    key: blob  # PEM
    drain_ms: u64
    grace_ms: u64
    keepalive_ms: u64
    reset_ms: u64
    silence_ms: u64
    strangers: u32
    per_source: u32
    exempt: text  # networks, with a blank between two


# Why the listener may have a command ended; how one ended by itself or by its rule, it has no say in.
END_CAUSES = frozenset((Cause.LOST, Cause.DRAINED, Cause.IDLE, Cause.OUTPUT_LIMIT, Cause.INPUT_LIMIT))


class Escaped(Message, code=41):
    """A child tried to leave its fence, and was refused; the words are for its user."""

    child: u64
    message: text


class Ready(Message, code=48):
    """The log of the run has begun."""


class Beaten(Message, code=42):
    """The runner is alive."""


STOP_SIGNALS = frozenset(("SIGTERM", "SIGINT"))
