"""The frames: every message of the protocol as a typed value.

To add one: write the class with a free type number, add its rows to the tables of `state`, and let
the `match` statements of the hall tell where it must be handled. The reference page of the protocol
is compared with this file by a test.
"""

from __future__ import annotations

from rexec.choice import IntChoice
from rexec.limits import CONTROL_MAX, DATA_MAX, EXEC_MAX, GREETING_MAX
from rexec.protocol.wire import Record, blob, flag, pairs, tail, text, texts, u8, u16, u64, wire_enum, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Self

IGNORABLE = 0x80  # header flag: skip the frame if its type is unknown; legal after authentication only
SESSION_CODES = 16  # type numbers from here on stand on a channel, the ones below on channel 0


@wire_enum
class Stream(IntChoice):
    """The three streams of a command, numbered as its descriptors."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2


@wire_enum
class Form(IntChoice):
    """What the words of an `Exec` are."""

    ARGV = 0  # the exact argument vector
    STRING = 1  # one string that the server splits by the published rule
    SUBSYSTEM = 2  # the name of a rule
    COPY = 3  # @get or @put, options, and a path: the streams carry files
    JOB = 4  # @attach, @logs or @kill, options, and the id of a detached command


@wire_enum
class Cause(IntChoice):
    """Why a command is over."""

    EXITED = 0  # by itself, with a status
    SIGNALLED = 1  # it died by a signal that rexec did not send to end it
    TIMEOUT = 2  # the total timeout of the rule or of the request
    IDLE = 3  # the idle timeout of the rule
    OUTPUT_LIMIT = 4  # more output than the rule allows
    DRAINED = 5  # the server is stopping
    LOST = 6  # it was started once and nobody knows how it ended; it is not started again
    ALREADY_RAN = 7  # this id ran to its end before and its output is gone
    INPUT_LIMIT = 8  # more input than the rule allows


@wire_enum
class Farewell(IntChoice):
    """Why a connection ends."""

    DONE = 0
    DRAINING = 1  # the server is stopping
    PROTOCOL_ERROR = 2
    UNAUTHENTICATED = 3  # too many proofs, or none in time
    BUSY = 4  # a limit of the server is reached
    NO_ANSWER = 5  # nothing was heard for too long


class Frame(Record):
    """Base of all frames: a record with a type number, a length limit and a place on the wire."""

    if TYPE_CHECKING:
        code: ClassVar[int]
        limit: ClassVar[int]
        flags: ClassVar[int]

    def __init_subclass__(cls, code: int = 0, limit: int = CONTROL_MAX, flags: int = 0) -> None:
        if not code:  # a group of frames, not a frame
            return
        cls.code = code
        cls.limit = limit
        cls.flags = flags
        if code in FRAMES:
            raise TypeError(f"frame type {code} stands twice")
        FRAMES[code] = cls


FRAMES: dict[int, type[Frame]] = {}


# --- of the connection: channel 0, never counted, never sent again -------------------------------


class ClientHello(Frame, code=1, limit=GREETING_MAX):
    """The client's first frame: which session, how much of it was received, what the client can do."""

    session: blob
    received: u64 = 0
    software: text = ""
    features: texts = ()


class ServerHello(Frame, code=2, limit=GREETING_MAX):
    """The server's first frame; `host_key` (RFC 4253, 6.6) is empty over TLS, whose certificate has it."""

    nonce: blob
    host_key: blob = b""
    software: text = ""
    features: texts = ()


class Proof(Frame, code=3, limit=GREETING_MAX):
    """An attempt to authenticate; `body` belongs to the method. An empty user lets the key decide."""

    method: text
    user: text
    body: blob


class Welcome(Frame, code=4, limit=GREETING_MAX):
    """The proof was accepted; `host_proof` is the server's own where there is no TLS."""

    user: text
    resumed: flag = False
    received: u64 = 0
    host_proof: blob = b""


class Refused(Frame, code=5, limit=GREETING_MAX):
    """The proof was not accepted; the same words for every reason."""

    message: text


class Ack(Frame, code=6):
    """How many session frames were received."""

    received: u64


class Ping(Frame, code=7):
    """Are you there? Answered by a `Pong` with the same token."""

    token: u64


class Pong(Frame, code=8):
    """The answer to a `Ping`."""

    token: u64


class Goodbye(Frame, code=9):
    """The last frame of a connection that ends on purpose."""

    reason: Farewell
    message: text = ""


# --- of a channel: counted, kept until acknowledged ----------------------------------------------


class Pty(Record):
    """A terminal for the command (RFC 4254, 6.2): modes are encoded as in its section 8."""

    term: text
    columns: u16
    rows: u16
    width: u16 = 0
    height: u16 = 0
    modes: blob = b""


class Exec(Frame, code=16, limit=EXEC_MAX):
    """Run a command. `id` names it within the session for ever, so that asking twice runs it once.

    What the rule does not pass of `env` is denied, of `offered` it is dropped. With `detach` it runs on
    without its client, and the output is the id by which it is asked for from then on.
    """

    id: u64
    form: Form
    words: words
    env: pairs = ()
    cwd: blob | None = None
    timeout_ms: u64 | None = None
    stdin: flag = True
    pty: Pty | None = None
    confirm: text | None = None
    detach: flag = False
    stdout_from: u64 = 0
    stderr_from: u64 = 0
    receipt: flag = False
    offered: pairs = ()


class Query(Frame, code=17, limit=EXEC_MAX):
    """Ask about the policy: `list`, `explain` or `complete`; the answer comes as stdout and an `Exit`."""

    subject: text
    words: words = ()
    pty: flag = False
    cwd: blob | None = None
    env: pairs = ()


class Started(Frame, code=18):
    """The command runs; `rule` says by which line."""

    rule: text
    pty: flag = False


class Denied(Frame, code=19):
    """The policy said no and nothing was started; `rule` is the nearest, `confirm` what it still needs."""

    message: text
    rule: text | None = None
    confirm: text | None = None


class Failed(Frame, code=20):
    """The policy said yes and the program could not be started."""

    exit_code: u8
    message: text
    rule: text


class Exit(Frame, code=21):
    """The last frame of a command: how it ended, and how much it wrote."""

    cause: Cause
    status: u8 = 0
    signal: text = ""
    message: text = ""
    stdout: u64 = 0
    stderr: u64 = 0
    truncated: flag = False
    lingered: flag = False
    output_kept: flag = True
    user_us: u64 = 0
    system_us: u64 = 0
    max_rss_kib: u64 = 0
    wall_us: u64 = 0


class Notice(Frame, code=22, flags=IGNORABLE):
    """A line about a running command that is not part of its output, for people to read."""

    message: text


class Receipt(Frame, code=23):
    """What the server signs about the command that is over; an `Exec` asks for it, the `Exit` follows."""

    data: blob


class Data(Frame):
    """Bytes of one stream; with a shorter way in and out than other frames, for most frames are these."""

    if TYPE_CHECKING:
        data: bytes | memoryview  # a view only where it was received so: see `connection`
        stream: ClassVar[Stream]
    else:

        def __init__(self, data):
            object.__setattr__(self, "data", data)

    def encode(self) -> bytes:
        return bytes(self.data)

    @classmethod
    def decode(cls, payload: bytes | memoryview) -> Self:
        return cls(payload)


class Stdin(Data, code=24, limit=DATA_MAX):
    """Bytes for the command."""

    data: tail


class Stdout(Data, code=25, limit=DATA_MAX):
    """Bytes from the command."""

    data: tail


class Stderr(Data, code=26, limit=DATA_MAX):
    """Bytes from the command, the other stream."""

    data: tail


class Eof(Frame, code=27):
    """The sender has no more bytes on this stream."""

    stream: Stream


class Stop(Frame, code=28):
    """The sender reads no more of this stream; bytes under way are dropped."""

    stream: Stream


class Credit(Frame, code=29):
    """The peer may send on this stream up to this absolute offset, which never decreases."""

    stream: Stream
    offset: u64


class Signal(Frame, code=30):
    """Send a signal to the command's process group, by name without SIG (RFC 4254, 6.9)."""

    name: text


class Resize(Frame, code=31):
    """The client's terminal has another size (RFC 4254, 6.7)."""

    columns: u16
    rows: u16
    width: u16 = 0
    height: u16 = 0


DATA: dict[Stream, type[Data]] = {Stream.STDIN: Stdin, Stream.STDOUT: Stdout, Stream.STDERR: Stderr}
for _stream, _data in DATA.items():
    _data.stream = _stream
