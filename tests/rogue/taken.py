"""A server whose listener was taken over: whoever holds it holds its end of the socket to the runner.

Run as a program with the arguments of `rexec-server`: the real server up to the point where it would
listen, then it hands that end to the test that waits at the path in TAKEN, and sleeps until the test ends.
"""

from __future__ import annotations

import os
import socket
import sys
from functools import partial

from rexec.cli.server import main
from rexec.server import start
from rexec.server.ordersocket import OrderSocket


def be_taken(settings: object, offer: object, link: OrderSocket, *_: object) -> int:
    with socket.socket(socket.AF_UNIX) as taker:
        taker.connect(os.environ["TAKEN"])
        socket.send_fds(taker, [b"here it is"], [link.fileno()])
        link.socket.close()
        taker.recv(1)
    return 0


if __name__ == "__main__":
    start.run = partial(start.run, be_listener=be_taken)
    sys.exit(main(sys.argv[1:]))
