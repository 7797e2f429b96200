"""Hundreds of clients at the price of one start: each is the whole of `rexec`, forked from a process that
has made the imports already.

Run as a program it takes what to run from its stdin and gives what was seen to its stdout, pickled. It has
no threads, so that a fork of it is as good as a start.
"""

from __future__ import annotations

import encodings.idna
import gc
import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ed25519

from rexec.cli import oneshot
from rexec.cli.main import main

__all__ = ["ed25519", "encodings", "oneshot"]  # what `main` imports on the way of a command
ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    """What came of one run."""

    code: int
    stdout: bytes
    stderr: bytes


class Client:
    """One client that runs."""

    def __init__(self, words: Sequence[str]) -> None:
        pipes = os.pipe(), os.pipe()
        self.said = {reading: bytearray() for reading, _ in pipes}
        self.open = len(pipes)
        self.pid = os.fork()
        if not self.pid:
            streams = os.open(os.devnull, os.O_RDONLY), *(writing for _, writing in pipes)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            os.closerange(3, 4096)
            sys.argv = ["rexec", *words]
            main()
        for _, writing in pipes:
            os.close(writing)

    def done(self) -> Done:
        """Wait for the end, once both streams have ended."""
        out, err = map(bytes, self.said.values())
        return Done(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), out, err)


def run_all(lines: Sequence[Sequence[str]], at_once: int) -> list[Done]:
    """Run all, so many at once; return what came of each in its turn."""
    found: dict[int, Done] = {}
    with selectors.DefaultSelector() as selector:
        running: dict[int, Client] = {}
        begun = 0
        while len(found) < len(lines):
            while begun < len(lines) and len(running) < at_once:
                running[begun] = client = Client(lines[begun])
                for stream in client.said:
                    selector.register(stream, selectors.EVENT_READ, begun)
                begun += 1
            for key, _ in selector.select():
                client = running[key.data]
                if data := os.read(key.fd, 1 << 20):
                    client.said[key.fd] += data
                    continue
                selector.unregister(key.fd)
                os.close(key.fd)
                client.open -= 1
                if not client.open:
                    found[key.data] = running.pop(key.data).done()
    return [found[number] for number in range(len(lines))]


def forked(lines: Sequence[Sequence[str]], env: dict[str, str], at_once: int = 8) -> list[Done]:
    """Run clients with these command lines and this environment; return what came of each."""
    words = [sys.executable, "-m", "tests.regress.forked"]
    asked = pickle.dumps((lines, at_once))
    done = subprocess.run(words, input=asked, stdout=subprocess.PIPE, env=env, cwd=ROOT, check=True)
    return [Done(*one) for one in pickle.loads(done.stdout)]


if __name__ == "__main__":
    given = pickle.load(sys.stdin.buffer)
    gc.freeze()  # memory that no collection touches stays shared
    sys.stdout.buffer.write(pickle.dumps([tuple(done) for done in run_all(*given)]))
