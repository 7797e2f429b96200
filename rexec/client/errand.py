"""One source to one target: what the server is asked for, and our end of the copy.

Here is decided what things are called on this machine; nothing that a server says has a part in it.
"""

from __future__ import annotations

import os
import stat

from rexec.client.copying import request
from rexec.copying.landing import Terms
from rexec.copying.place import Place, open_folder, reason
from rexec.copying.pouring import receive_into
from rexec.copying.receiving import Receiver
from rexec.copying.sending import Sender
from rexec.errors import ConfigError, RexecError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.client.copying import Work
    from rexec.client.result import Result
    from rexec.copying.stream import Reader, Writer
    from rexec.copying.watching import Watch
    from rexec.protocol import frames as f

_HOME = (b"", b".", b"~", b"./", b"~/")


class Habits:
    """How is copied: `-r`, `-p`, `--resume`."""

    __slots__ = ("recursive", "resume", "times")

    def __init__(self, *, recursive: bool = False, times: bool = False, resume: bool = False) -> None:
        self.recursive = recursive
        self.times = times
        self.resume = resume


class Errand:
    """What is to be asked of the server, and what is done here meanwhile."""

    __slots__ = ("_folder", "frame", "work")

    def __init__(self, frame: f.Exec, work: Work, folder: int = -1) -> None:
        self.frame = frame
        self.work = work
        self._folder = folder

    def close(self) -> None:
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)


def get_frame(path: bytes, habits: Habits, cwd: bytes | None = None) -> f.Exec:
    """Ask for a file or a tree."""
    options = [option for option, on in ((b"-r", habits.recursive), (b"--resume", habits.resume)) if on]
    return request("@get", at_home(path), *options, cwd=cwd)


def put_frame(path: bytes, habits: Habits, cwd: bytes | None = None) -> f.Exec:
    """Ask to be given a file or a tree."""
    options = [option for option, on in ((b"-r", habits.recursive), (b"-p", habits.times)) if on]
    return request("@put", at_home(path), *options, cwd=cwd)


def getting(path: bytes, to: bytes, habits: Habits, watch: Watch, cwd: bytes | None = None) -> Errand:
    """Get a path of the server to a path here. Raises `ConfigError`."""
    frame = get_frame(path, habits, cwd)
    special = _opened_if_special(to)
    if special >= 0:
        return Errand(frame, lambda reader, writer: _pour(special, reader, writer, watch), special)
    place = _place(to)
    terms = Terms(umask(), recursive=habits.recursive, times=habits.times)

    def work(reader: Reader, writer: Writer) -> None:
        Receiver(reader, writer, place, terms, watch).run()

    return Errand(frame, work, place.folder)


def pouring(path: bytes, descriptor: int, watch: Watch) -> Errand:
    """Get a file of the server to a descriptor."""
    frame = get_frame(path, Habits())
    return Errand(frame, lambda reader, writer: _pour(descriptor, reader, writer, watch))


def _pour(descriptor: int, reader: Reader, writer: Writer, watch: Watch) -> None:
    receive_into(descriptor, reader, writer, watch)


def putting(path: bytes, to: bytes, habits: Habits, watch: Watch, cwd: bytes | None = None) -> Errand:
    """Put a path here to a path of the server. Raises `ConfigError`."""
    place = _place(path)

    def work(reader: Reader, writer: Writer) -> None:
        sender = Sender(reader, writer, recursive=habits.recursive, resume=habits.resume, watch=watch)
        sender.send(place)

    return Errand(put_frame(to, habits, cwd), work, place.folder)


def feeding(descriptor: int, to: bytes, watch: Watch) -> Errand:
    """Put what a descriptor gives to a path of the server."""

    def work(reader: Reader, writer: Writer) -> None:
        Sender(reader, writer, watch=watch).send_stream(descriptor)

    return Errand(put_frame(to, Habits()), work)


def ending(result: Result, error: RexecError | None, failures: int) -> tuple[int, str | None]:
    """Return the exit code of a copy, and what is to be said besides the `failures` that were told."""
    if result.state == "denied":
        return 126, f"denied: {result.error}"
    if result.state not in ("ok", "failed"):
        return result.exit_code or 255, result.error or f"the copy ended by {result.signal or result.state}"
    if error is not None:
        return 255, str(error)
    if result.state == "failed" and result.exit_code != 1:
        return 255, "the server's end of the copy failed"
    return (1, None) if failures or result.exit_code else (0, None)


# --- names -----------------------------------------------------------------------------------------


def name_of(path: bytes) -> bytes:
    """Return what a copy of a path is called; empty for what has no name of its own, such as `.`.

    Raises `UsageError` for a path that ends with `..`.
    """
    name = os.path.basename(path.rstrip(b"/"))
    if name == b"..":
        raise UsageError(f"{path!a} has no name of its own", hint="name the directory")
    return b"" if name in (b".", b"~") else name


def local_target(to: bytes, name: bytes, *, many: bool = False) -> bytes:
    """Return the path here that a copy of something called `name` goes to. Raises `ConfigError`."""
    if os.path.isdir(to or b"."):
        return os.path.join(to, name) if name else to
    if many or to.endswith(b"/"):
        raise ConfigError(f"{os.fsdecode(to)}: is no directory")
    return to


def is_open(to: bytes) -> bool:
    """Tell whether the form of a path at a server leaves open that it is a directory to copy into."""
    return to not in _HOME and not to.endswith(b"/")


def remote_target(to: bytes, name: bytes) -> bytes:
    """Return the path at a server of what is called `name` in a directory there."""
    if to in _HOME:
        return name or b"."
    return os.path.join(to, name) if name else to


def at_home(path: bytes) -> bytes:
    """Spell a path as the server sees it: from the home of the account that copies."""
    if path in _HOME:
        return b"."
    return path.removeprefix(b"~/") if path.startswith(b"~/") else path


def _place(path: bytes) -> Place:
    """Open the directory that a path here lies in; a link that was named is followed, as by cp."""
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    try:
        return Place(open_folder(folder), name or b".")
    except OSError as error:
        raise ConfigError(f"{os.fsdecode(path)}: {reason(error)}") from None


def _opened_if_special(path: bytes) -> int:
    """Open a device or a pipe that was named as a target, such as /dev/null; -1 for all else.

    A pipe that nobody reads is an error (fifo(7)), and nothing to wait for.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return -1
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise ConfigError(f"{os.fsdecode(path)}: {reason(error)}") from None


def umask() -> int:
    """Return the umask of this process."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
