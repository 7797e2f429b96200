"""ssh's ControlPath: a command by way of a master, and the orders of `-O`.

A master is knocked at as soon as its path is known; what the request takes is imported while it comes to
the door, and what the request can do without while the command runs.
"""

from __future__ import annotations

import gc

from rexec.client.sharing import Unreachable, heard, knock, reach
from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from rexec.cli.guest import End, Guest
    from rexec.cli.ssh.settings import Settings
    from rexec.cli.terminal import Attached
    from rexec.client.config import Target
    from rexec.client.sharing import Line
else:
    import posix as os

PROGRAM = "rexec-ssh"
FAILED = 255
FAR = ("denied", "not_found", "timeout", "ended")  # what ssh would have passed on from the far side
_TOLD = ("user", "host_name", "identity_files", "known_hosts", "proxy_jump", "proxy_command")
_SIGNS = frozenset("%~$")  # how a token, a home directory and a variable begin


def place_of(settings: Settings) -> str | None:
    """Return the path of the control socket, if there is to be one. Most have no tokens."""
    path = settings.control_path
    if path is None or path.lower() == "none":
        return None
    if _SIGNS.isdisjoint(path):
        return path
    from rexec.cli.ssh.destination import target_of, tokens_of

    return tokens_of(settings, target_of(settings)).expand(path, is_path=True)


def order(settings: Settings, path: str | None) -> int:
    """Obey `-O`; return 0 where there was a master to hear it."""
    if path is None:
        raise UsageError("-O needs a ControlPath", hint="-S PATH names one")
    word = (settings.control or "").encode()
    try:
        line = reach(path)
    except Unreachable as error:
        raise UsageError(f"no master: {error}") from None
    try:
        line.say(word)
        fields, _ = line.hear()
    except OSError:
        fields = []
    match fields:
        case [b"pid", pid]:
            text = f"master running (pid={pid.decode('ascii', 'replace')})"
        case [b"done"]:
            text = "exit request sent" if settings.control == "exit" else "stop listening request sent"
        case _:
            raise UsageError(f"no master: {path}: it went away")
    if not settings.quiet:
        from rexec.cli.output import say

        say(PROGRAM, text)
    return 0


def knocked(path: str) -> Line | None:
    """Return a conversation with the master at a path, who is still to be heard; None where there is none."""
    try:
        return knock(path)
    except Unreachable:
        return None


def run(settings: Settings, line: Line, path: str) -> int | None:
    """Run the command by the master that was knocked at; None where it is not the one for it."""
    if not settings.text:
        line.close()
        return None
    import rexec.cli.guest  # noqa: F401  # it is read while the master comes to the door

    try:
        heard(line, path)
    except Unreachable:
        return None
    return visit(settings, line)


def visit(settings: Settings, line: Line) -> int | None:
    """Run the command by a master; None where nothing was started, and a connection of our own may do."""
    from rexec.cli.guest import Guest

    target = None if _is_plain(settings) else _target_of(settings)
    attached = _attached(settings)
    is_raw = attached is not None and attached.is_local

    def notice(text: str) -> None:
        if not settings.quiet:
            from rexec.cli.output import say

            say(PROGRAM, text, "\r\n" if is_raw else "\n")

    gc.freeze()  # what is here stays
    gc.enable()
    guest = Guest(line, request_of(settings, target, attached), attached, notice)
    guest.meanwhile = lambda: _target_of(settings)
    end = guest.run()
    line.close()
    if end is None:
        return None
    target = _target_of(settings)
    if end.unconfirmed is not None and target.asks and os.isatty(0) and os.isatty(2):
        guest.signals.release()
        return None  # the person at the terminal can be asked by a connection of our own
    return _finish(settings, target, guest, end)


def _is_plain(settings: Settings) -> bool:
    """Whether nobody but the command line says what is asked for, and its host is one.

    Then there is time to find out where it leads, which only messages tell. What is in doubt is not plain.
    """
    from rexec import files
    from rexec.transport.address import parse_address

    host = settings.host or ""
    if host.startswith("unix:") or any(getattr(settings, name) for name in _TOLD):
        return False
    try:
        config = files.beneath(files.home(None, files.environ()), "config.toml")
        return bool(parse_address(host).host) and files.stamp(config) is None
    except UsageError:
        return False


def _target_of(settings: Settings) -> Target:
    from rexec.cli.ssh.destination import target_of

    return target_of(settings)


def _finish(settings: Settings, target: Target, guest: Guest, end: End) -> int:
    if end.closed:
        import signal

        from rexec.cli.signals import die_by

        die_by(signal.SIGPIPE)
    if end.error is not None and (not settings.quiet or end.state in FAR):
        from rexec.cli.output import say

        say(PROGRAM, f"{target.name}: {'denied: ' if end.state == 'denied' else ''}{end.error}")
    if guest.signals.was_interrupted(end.signal):
        import signal

        from rexec.cli.signals import die_by

        die_by(signal.SIGINT)
    return FAILED if end.state == "signal" else min(end.code, FAILED)


def request_of(settings: Settings, target: Target | None, attached: Attached | None) -> list[bytes]:
    """Return the fields that a master makes the frame of; a plain one needs no target."""
    from rexec import files
    from rexec.cli.ssh.request import offered

    fields = [b"form=subsystem" if settings.is_subsystem else b"form=string"]
    fields.append(b"word=" + files.encoded(settings.text))
    fields += [b"offered=%b=%b" % pair for pair in offered(settings, files.environ())]
    if target is not None:
        fields += _wishes(target)
    if not settings.no_stdin:
        fields.append(b"stdin")
    if attached is not None:
        pty = attached.pty
        fields += [
            b"term=" + pty.term.encode(),
            b"size=%dx%d" % (pty.columns, pty.rows),
            b"modes=" + pty.modes,
        ]
    return fields


def _wishes(target: Target) -> list[bytes]:
    """Return the fields of what config.toml wishes for each command."""
    from rexec import files
    from rexec.client.config import variables

    fields = [b"env=%b=%b" % pair for pair in variables(target)]
    if target.cwd is not None:
        fields.append(b"cwd=" + files.encoded(target.cwd))
    if target.timeout is not None:
        fields.append(b"timeout=%d" % max(1, round(target.timeout * 1000)))
    return fields


def _attached(settings: Settings) -> Attached | None:
    if not settings.gets_terminal:
        return None
    from rexec import files
    from rexec.cli.terminal import Attached

    return Attached(0 if os.isatty(0) and os.isatty(1) else None, files.environ())
