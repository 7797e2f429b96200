"""Detached commands as a client asks for them."""

from __future__ import annotations

from rexec.protocol import frames as f


def about(way: str, name: str, *options: str) -> f.Exec:
    """Return the frame that asks for something about a detached command: attach, logs, kill."""
    if not isinstance(name, str):
        raise TypeError(f"the id of a command is a str, not {type(name).__name__}")
    said = (f"@{way}", *options, name)
    return f.Exec(0, f.Form.JOB, tuple(word.encode("utf-8", "surrogateescape") for word in said), stdin=False)


def detached(exec_: f.Exec) -> f.Exec:
    """Return the frame that asks for the same command, to run on without us."""
    return exec_.replace(detach=True, stdin=False)
