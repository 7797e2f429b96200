"""The question that a rule with ``confirm`` has for the person at the terminal.

It waits in the pump of the connection, which has to stay alive however long somebody thinks.
"""

from __future__ import annotations

import os
import select
import sys
import termios

from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.signals import Signals
    from rexec.client.session import Session

_LINE_MAX = 4096  # bytes that a terminal gives at most for one line (termios(3), canonical mode)


def question(text: str) -> str:
    """Ask for a text to be typed."""
    return f'type "{neutral(text)}" to go on: '


def is_confirmed(text: str, session: Session, signals: Signals, program: str = "rexec") -> bool:
    """Ask, and tell whether this very text was typed; a signal is an answer too: no."""
    termios.tcflush(0, termios.TCIFLUSH)  # what was typed before the question is no answer to it
    sys.stderr.write(f"{program}: {question(text)}")
    sys.stderr.flush()
    typed = _typed(session, signals)
    if typed is None or not typed.endswith(b"\n"):
        sys.stderr.write("\n")
    return typed is not None and typed.removesuffix(b"\n") == text.encode()


def _typed(session: Session, signals: Signals) -> bytes | None:
    """Read a line while the connection is looked after; None where a signal or its end came first."""
    while not session.is_lost:
        poll, wait = session.prepare(signals.patience())
        poll.register(0, select.POLLIN)
        ready = dict(poll.poll(wait))
        if ready.pop(0, 0):
            return os.read(0, _LINE_MAX)
        session.serve(ready)
        signals.forward(lambda _: None, lambda: None)
        if signals.last is not None:
            signals.gave_up = True
            return None
    return None
