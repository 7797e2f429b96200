"""What a person at the terminal is asked before a command runs: trust in a server, a passphrase."""

from __future__ import annotations

import os
import sys

from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without enums

TRUST_ANSWERS = "Say yes or no in full, or give the fingerprint that the server printed."


def has_terminal() -> bool:
    """Tell whether somebody is there to be asked."""
    return os.isatty(0) and os.isatty(2)


def ask_trust(host: str, fingerprint: str) -> bool:
    """Ask the person at the terminal whether a new server's key is the right one."""
    print(f"The key of {neutral(host)} is not known. Its fingerprint is {fingerprint}.", file=sys.stderr)  # noqa: T201
    while True:
        sys.stderr.write("Is it the right one (yes, no, or the fingerprint)? ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer or answer.strip() in ("no", "n"):
            return False
        if answer.strip() in ("yes", fingerprint):
            return True
        print(TRUST_ANSWERS, file=sys.stderr)  # noqa: T201


def ask_passphrase(path: str) -> bytes | None:
    """Ask for the passphrase of a key; nobody is asked where there is no terminal."""
    if not has_terminal():
        return None
    from getpass import getpass

    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_DFL:  # as bin/ sets it: nothing would have the terminal show again what is typed
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return os.fsencode(getpass(f"Passphrase of {neutral(path)}: "))
    finally:
        signal.signal(signal.SIGINT, before)
