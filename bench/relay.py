"""A line between two network namespaces that takes its time: two TUN devices, and packets that wait.

`python -m bench.relay NEAR FAR SECONDS` runs until its stdin ends. A proxy would answer a handshake by
itself and hide a round trip; here every packet makes the way.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 1, 0x1000
CLONE_NEWNET = 0x40000000  # linux/sched.h
NEAR, FAR = "10.77.0.1", "10.77.0.2"
PACKET = 65_536


def device(namespace: str, address: str, peer: str) -> int:
    """Make a TUN device in a namespace, and bring it up; return its descriptor."""
    place = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(place, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(place)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN | IFF_NO_PI))
    for words in (f"addr add {address} peer {peer} dev line", "link set line up", "link set lo up"):
        subprocess.run(["ip", *words.split()], check=True)
    return tun


def carry(one: int, other: int, delay: float) -> None:
    """Carry packets both ways, each as long as it takes."""
    waiting: deque[tuple[float, int, bytes]] = deque()  # one delay for all: the first is due first
    poll = select.poll()
    for number in (0, one, other):
        poll.register(number, select.POLLIN | select.POLLHUP)
    while True:
        left = (waiting[0][0] - time.monotonic()) * 1000 if waiting else None
        ready = [number for number, _ in poll.poll(None if left is None else max(0, left))]
        if 0 in ready:
            return
        for number in ready:
            packet = os.read(number, PACKET)
            waiting.append((time.monotonic() + delay, other if number == one else one, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, packet = waiting.popleft()
            os.write(to, packet)


if __name__ == "__main__":
    ends = device(sys.argv[1], NEAR, FAR), device(sys.argv[2], FAR, NEAR)
    print("ready", flush=True)
    carry(*ends, float(sys.argv[3]))
