"""Two network namespaces, and between them a line that loses, delays and reorders packets from a seed.

    with Relay(Line(loss=0.01, delay=0.05)) as relay:
        subprocess.run(relay.near.words("ping", "-c", "3", relay.far.address))

Each namespace has one TUN device, and this process carries every packet from one to the other in a thread
of its own: the kernel needs no queueing discipline for that. What the line does may change at any time, by
another `Line` in `relay.line`, and the near side may move to another address. Needs root and `ip`.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import TracebackType

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET = 65_536  # bytes that one read takes at most: more than any MTU
READS = 64  # packets of one side before the other has its turn
QUEUE = 200  # packets of one direction that wait for a line which is full; more are dropped
NEAR, FAR = "10.77.0.2", "10.77.0.1"
_numbers = count(1)


@dataclass(frozen=True)
class Line:
    """What becomes of each packet, in either direction."""

    loss: float = 0.0  # share that is dropped; 1.0 is a line that is cut
    delay: float = 0.0  # seconds on the way, each way
    reordered: float = 0.0  # share that is `late`, so that others overtake it
    late: float = 0.03  # seconds more
    rate: float = 0.0  # bytes a second, each way; 0: as many as come


WHOLE = Line()
CUT = Line(loss=1.0)


class Side:
    """One namespace, its device and its address."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
        ip("netns", "add", name)
        ip("link", "set", name, "netns", name)
        self.ip("link", "set", "lo", "up")
        self.ip("link", "set", name, "up")
        self.move(address)

    def ip(self, *words: str) -> None:
        """Run `ip` inside."""
        ip("-n", self.name, *words)

    def move(self, address: str) -> None:
        """Take another address, and the route that belongs to it; nothing of the old one is left."""
        self.ip("-4", "addr", "flush", "dev", self.name)
        self.ip("addr", "add", f"{address}/24", "dev", self.name)
        self.ip("route", "replace", "default", "dev", self.name)
        self.address = address

    def words(self, *command: str) -> list[str]:
        """Return the command line of a program that runs inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def close(self) -> None:
        ip("netns", "del", self.name)
        os.close(self.tun)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Relay:
    """The line and its two sides; use it as a context."""

    def __init__(self, line: Line = WHOLE, seed: int = 1) -> None:
        self.line = line
        self.carried = self.dropped = self.overtaken = 0  # packets
        self._chance = random.Random(seed)
        self._grew = threading.Condition()
        self._stop = threading.Event()
        number = next(_numbers)
        self.near = Side(f"rx{os.getpid()}n{number}", NEAR)
        self.far = Side(f"rx{os.getpid()}f{number}", FAR)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.near.close()
        self.far.close()

    def wait_for(self, condition: Callable[[], bool], patience: float = 60.0) -> None:
        """Wait until something is so that packets make so, such as a number of those that were carried."""
        with self._grew:
            assert self._grew.wait_for(condition, patience), "the packets that are waited for do not come"

    def _run(self) -> None:
        ways = [_Way(self.near.tun, self.far.tun), _Way(self.far.tun, self.near.tun)]
        of = {way.source: way for way in ways}
        poll = select.poll()
        for way in ways:
            poll.register(way.source, select.POLLIN)
        while not self._stop.is_set():
            due = min((way.waiting[0][0] for way in ways if way.waiting), default=None)
            wait = 0.1 if due is None else min(max(due - time.monotonic(), 0.0), 0.1)
            for descriptor, _ in poll.poll(wait * 1000):
                self._take(of[descriptor])
            for way in ways:
                self._hand_on(way)

    def _take(self, way: _Way) -> None:
        """Take what a side sends, and decide what becomes of each packet."""
        line, now = self.line, time.monotonic()
        for _ in range(READS):
            try:
                packet = os.read(way.source, PACKET)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:  # a neighbour of IPv6 that is sought: no packet of ours
                continue
            if self._chance.random() < line.loss or (line.rate and len(way.waiting) >= QUEUE):
                self._count(dropped=1)
                continue
            due = now
            if line.rate:
                due = way.free = max(now, way.free) + len(packet) / line.rate
            due += line.delay
            if self._chance.random() < line.reordered:
                self.overtaken += 1
                due += line.late
            heapq.heappush(way.waiting, (due, next(way.numbers), packet))

    def _hand_on(self, way: _Way) -> None:
        now = time.monotonic()
        handed = 0
        while way.waiting and way.waiting[0][0] <= now:
            try:
                os.write(way.sink, heapq.heappop(way.waiting)[2])
            except OSError:  # the device has no room, or its address has just gone
                self._count(dropped=1)
            handed += 1
        if handed:
            self._count(carried=handed)

    def _count(self, *, carried: int = 0, dropped: int = 0) -> None:
        with self._grew:
            self.carried += carried
            self.dropped += dropped
            self._grew.notify_all()


class _Way:
    """One direction; `waiting` is in the order in which its packets are due."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self.free = 0.0  # when the line has room for the next packet
        self.waiting: list[tuple[float, int, bytes]] = []
        self.numbers = count()
