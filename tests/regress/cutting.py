"""A proxy that breaks connections: resets, ends, truncates, stalls and silences them, all from one seed.

A connection is carried up to a number of bytes, counted in both directions, and then meets its fate. The
ends see what a real network shows them: a reset, a FIN in the middle of a record, or nothing at all.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType

from tests.regress.conftest import Host

FATES = ("reset", "end", "truncate", "stall", "silence")
PIECE = 64 * 1024
EARLY = 0.5  # of the cuts, where some are to be early


class Fate:
    """What becomes of one connection, after so many bytes."""

    def __init__(self, kind: str, after: int, part: float = 0.5) -> None:
        self.kind = kind
        self.after = after
        self.part = part  # of the piece at hand that still gets through, where it is truncated


class Fates:
    """The fates of the connections to come, from a seed: `cuts` of them are cut, the rest is let alone."""

    def __init__(
        self, seed: int, cuts: int, size: int, kinds: tuple[str, ...] = FATES, *, early: bool = False
    ) -> None:
        """`early`: some end before anybody is welcome, which takes the first 2,000 bytes or less."""
        chance = random.Random(seed)
        self._left = []
        for _ in range(cuts):
            span = (0, 2_000) if early and chance.random() < EARLY else (2_000, max(size, 2_001))
            self._left.append(Fate(chance.choice(kinds), chance.randrange(*span), chance.random()))

    def add(self, fate: Fate) -> None:
        """Have the next connection meet this fate."""
        self._left.append(fate)

    def next(self) -> Fate | None:
        return self._left.pop(0) if self._left else None


class Proxy:
    """Listens on loopback and carries connections to a server; use it as a context.

    In the clear a proof names the address that was dialled, and the server knows its own, so that a proxy
    is found out. On a Unix socket it can take the server's place: `host` is renamed, and its name is ours.
    """

    def __init__(self, host: Host, fates: Fates) -> None:
        self.fates = fates
        self._is_shut = False
        if host.address.startswith("unix:"):
            path = Path(host.address.removeprefix("unix:"))
            self._to: tuple[str, int] | str = str(path.with_suffix(".real"))
            if not Path(self._to).exists():
                path.rename(self._to)
            path.unlink(missing_ok=True)
            self._listening = socket.socket(socket.AF_UNIX)
            self._listening.bind(str(path))
            self._listening.listen()
            self.address = host.address
        else:
            self._to = ("127.0.0.1", host.port)
            self._listening = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self.met: list[str] = []  # the fates that came to pass
        self._open: list[_Carried] = []
        self.cut = threading.Event()  # set once a connection has met its fate

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._listening.fileno() >= 0:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if self._is_shut:
                near.close()
                continue
            try:
                far = socket.socket(near.family)
                far.connect(self._to)
            except OSError:
                near.close()
                far.close()
                continue
            self.connections += 1
            carried = _Carried(self, near, far, self.fates.next())
            self._open.append(carried)
            carried.begin()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def lead_to(self, host: Host) -> None:
        """Carry new connections to a server that was started again."""
        self._to = ("127.0.0.1", host.port)

    def cut_all(self) -> None:
        """Cut all connections that there are; new ones are carried on."""
        while self._open:
            self._open.pop().drop()

    def deafen(self) -> None:
        """Let no client hear anything more on a connection that there is; what it says is carried on."""
        for carried in self._open:
            carried.is_deaf = True

    def shut_out(self) -> None:
        """Cut all connections, and close new ones at once."""
        self._is_shut = True
        self.cut_all()

    def let_in(self) -> None:
        self._is_shut = False

    def shut(self) -> None:
        """Cut all connections, and take no new ones."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut_all()

    def has_met(self, kind: str) -> None:
        self.met.append(kind)
        self.cut.set()


class _Carried:
    """One connection on its way through."""

    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket, fate: Fate | None) -> None:
        self._proxy = proxy
        self._ends = near, far
        self._fate = fate
        self._count = 0
        self._over = False
        self.is_deaf = False
        self._lock = threading.Lock()
        for end in self._ends:
            if end.family == socket.AF_INET:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self) -> None:
        near, far = self._ends
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(PIECE):
                with self._lock:
                    if self._over:
                        return
                    self._count += len(data)
                    fate = self._fate
                    if fate is not None and self._count >= fate.after:
                        if not self._meet(fate, sink, data):
                            return
                        self._fate = None
                if not self.is_deaf or sink is self._ends[1]:
                    sink.sendall(data)
            with self._lock:
                if not self._over:
                    sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop()

    def _meet(self, fate: Fate, sink: socket.socket, data: bytes) -> bool:
        """Let a connection meet its fate; True where it goes on after that."""
        self._proxy.has_met(fate.kind)
        if fate.kind == "stall":  # everything waits for a moment, and nothing is lost
            threading.Event().wait(0.05)
            return True
        self._over = True
        if fate.kind == "silence":
            return False  # both ends stay open, and nobody is heard any more
        if fate.kind == "truncate":
            sink.sendall(data[: int(len(data) * fate.part)])
        for end in self._ends:
            if fate.kind == "reset":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(
                    socket.SHUT_RD
                )  # says nothing, but wakes who reads: else close(2) waits for them
                end.close()
            else:
                end.shutdown(socket.SHUT_RDWR)
        return False

    def drop(self) -> None:
        with self._lock:
            self._over = True
        for end in self._ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
