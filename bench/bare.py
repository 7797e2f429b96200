"""The least that Python can do over a socket: no frames, no keys, no policy, no window, one command.

    python bench/bare.py serve CERTIFICATE WORD...     tell the port; run the words for whoever connects
    python bench/bare.py start CERTIFICATE WORD...     the same as often as the one who connects asks for it
    python bench/bare.py call tls|clear PORT           be stdin and stdout of that command

A CERTIFICATE of `-` is none. What this takes is what no design of rexec would save.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HERE = "127.0.0.1"
SIZE = 256 * 1024  # bytes moved at once
PIPE = 1024 * 1024  # bytes that a pipe holds
ASKED = struct.Struct("!I")  # number of a command
TOLD = struct.Struct("!IBII")  # its number, its status, bytes of stdout and of stderr, which follow
FREED = 8 * 1024 * 1024  # bytes: pieces up to this size are used again, and not given back


class Line:
    """A socket, in the clear or under TLS over memory."""

    def __init__(self, end: socket.socket, context: ssl.SSLContext | None, *, server: bool) -> None:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.end = end
        self.room = memoryview(bytearray(SIZE))
        self._came, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context and context.wrap_bio(self._came, self._leaving, server_side=server)
        while self._tls is not None:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                end.sendall(self._leaving.read())
                self._came.write(end.recv(SIZE))
            else:
                end.sendall(self._leaving.read())
                break

    @property
    def has_some(self) -> bool:
        """Whether something came with the handshake."""
        return self._came.pending > 0

    def put(self, data: memoryview) -> None:
        if self._tls is not None:
            self._tls.write(data)
            self.end.sendall(self._leaving.read())
        else:
            self.end.sendall(data)

    def take(self) -> memoryview:
        """Wait for bytes, which are valid until the next call; none of them is the end."""
        while True:
            if not self.has_some:
                size = self.end.recv_into(self.room)
                if self._tls is None or not size:
                    return self.room[:size]
                self._came.write(self.room[:size])
            total = 0
            assert self._tls is not None
            try:
                while total < SIZE and (self._came.pending or self._tls.pending()):
                    total += self._tls.read(SIZE - total, self.room[total:])
            except ssl.SSLWantReadError:
                pass
            if total:
                return self.room[:total]

    def pass_on(self, to: int) -> bool:
        """Write what came to a descriptor; False at the end."""
        size = 1 if self.has_some else self.end.recv_into(self.room)
        if self._tls is None:
            _write(to, self.room[:size])
            return bool(size)
        if not self.has_some:
            self._came.write(self.room[:size])
        while self._came.pending or self._tls.pending():
            total = 0
            try:
                while total < SIZE and (self._came.pending or self._tls.pending()):
                    total += self._tls.read(SIZE - total, self.room[total:])
            except ssl.SSLWantReadError:
                pass
            _write(to, self.room[:total])
        return bool(size)


def _write(to: int, data: memoryview) -> None:
    while data:
        data = data[os.write(to, data) :]


def _join(line: Line, source: int, sink: int, *, until_line_ends: bool) -> None:
    """Carry both ways until the line ends, or the source; the end of the other is only passed on."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(line.end, select.POLLIN)
    room = memoryview(bytearray(SIZE))
    if line.has_some:
        line.pass_on(sink)
    while True:
        for number, _ in poll.poll():
            if number == source:
                if size := os.readv(source, [room]):
                    line.put(room[:size])
                    continue
                line.end.shutdown(socket.SHUT_WR)
            elif line.pass_on(sink):
                continue
            elif not until_line_ends:
                os.close(sink)
            if until_line_ends == (number != source):
                return
            poll.unregister(number)


def serve(certificate: str, words: list[str], run: Callable[[Line, list[str]], None]) -> None:
    context = None
    if certificate != "-":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        context.load_cert_chain(certificate)
    door = socket.create_server((HERE, 0))
    print(door.getsockname()[1], flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while True:
        end, _ = door.accept()
        if os.fork() == 0:
            line = Line(end, context, server=True)
            run(line, words)
            os._exit(0)
        end.close()


def run_one(line: Line, words: list[str]) -> None:
    """Run the command of one connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    for pipe in (child.stdin, child.stdout):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
    sink = os.dup(child.stdin.fileno())
    child.stdin.close()
    _join(line, child.stdout.fileno(), sink, until_line_ends=False)
    child.wait()


class Running:
    """One command of many."""

    def __init__(self, number: int, words: list[str]) -> None:
        self.number = number
        self.child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.output = {self.child.stdout: b"", self.child.stderr: b""}
        self.exit = os.pidfd_open(self.child.pid)
        self.open = {self.exit: None, **{pipe.fileno(): pipe for pipe in self.output if pipe is not None}}

    def attend(self, number: int) -> bool:
        """Take what is there; True where that was the last, and the number is to be forgotten."""
        pipe = self.open[number]
        if pipe is not None and (data := os.read(number, SIZE)):
            self.output[pipe] += data
            return False
        del self.open[number]
        return True

    def told(self) -> bytes:
        """Return the answer, and let go of all."""
        os.close(self.exit)
        out, error = self.output.values()
        with self.child:
            return TOLD.pack(self.number, self.child.wait(), len(out), len(error)) + out + error


def run_many(line: Line, words: list[str]) -> None:
    """Run the command again and again, as many at once as are asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    epoll, running, asked = select.epoll(), dict[int, Running](), bytearray()
    epoll.register(line.end, select.EPOLLIN)
    if line.has_some:
        asked += line.take()
    while True:
        while len(asked) >= ASKED.size:
            command = Running(*ASKED.unpack_from(asked), words)
            del asked[: ASKED.size]
            for number in command.open:
                running[number] = command
                epoll.register(number, select.EPOLLIN)
        told = []
        for number, _ in epoll.poll():
            if number == line.end.fileno():
                data = line.take()
                if not data:
                    return
                asked += data
                continue
            command = running[number]
            if command.attend(number):
                del running[number]
                epoll.unregister(number)
                if not command.open:
                    told.append(command.told())
        if told:
            line.put(memoryview(b"".join(told)))


def reach(kind: str, port: int) -> Line:
    context = None
    if kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return Line(socket.create_connection((HERE, port)), context, server=False)


def ask(line: Line, count: int, depth: int) -> None:
    """Have so many commands run, so many of them at once."""
    line.put(memoryview(b"".join(map(ASKED.pack, range(min(depth, count))))))
    begun, over, came = min(depth, count), 0, bytearray()
    while over < count:
        came += line.take()
        asked = b""
        while len(came) >= TOLD.size:
            _, status, out, error = TOLD.unpack_from(came)
            if len(came) < TOLD.size + out + error:
                break
            assert status == 0
            del came[: TOLD.size + out + error]
            over += 1
            if begun < count:
                asked += ASKED.pack(begun)
                begun += 1
        if asked:
            line.put(memoryview(asked))


if __name__ == "__main__":
    bytes(FREED)
    if sys.argv[1] == "call":
        _join(reach(sys.argv[2], int(sys.argv[3])), 0, 1, until_line_ends=True)
    else:
        serve(sys.argv[2], sys.argv[3:], run_one if sys.argv[1] == "serve" else run_many)
