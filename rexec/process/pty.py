"""Terminals: what a command with one talks to."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import TYPE_CHECKING

from rexec.process.modes import CHARACTERS, LOCAL, apply_modes, decode_modes

if TYPE_CHECKING:
    from rexec.protocol.frames import Pty


def open_terminal(terminal: Pty) -> tuple[int, int]:
    """Return both ends of a new terminal with the size and modes of the client's."""
    master, slave = os.openpty()  # neither is inherited (PEP 446)
    set_size(master, terminal.columns, terminal.rows, terminal.width, terminal.height)
    if terminal.modes:
        attributes = apply_modes(termios.tcgetattr(slave), decode_modes(terminal.modes))
        try:
            termios.tcsetattr(slave, termios.TCSANOW, attributes)
        except termios.error:
            pass  # modes that no terminal has: it keeps the usual ones
    return master, slave


def set_size(terminal: int, columns: int, rows: int, width: int = 0, height: int = 0) -> None:
    """Set the size of a terminal; its foreground group gets SIGWINCH where it changed (tty_ioctl(4))."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))


def eof_character(terminal: int) -> bytes:
    """Return what a person would type for the end of input; nothing where the program reads raw."""
    attributes = termios.tcgetattr(terminal)
    is_canonical = attributes[LOCAL] & termios.ICANON
    return bytes(attributes[CHARACTERS][termios.VEOF]) if is_canonical else b""
