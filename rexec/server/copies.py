"""Copies at the server: what a permit for `@get` or `@put` becomes, in a child that starts no program.

The child looks at the path once more, as the account that copies: the directory that it judged is the one
that it works in, by its descriptor. Then the fence goes up, and from there on only records say anything.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

from rexec.copying import records as r
from rexec.copying.landing import Terms
from rexec.copying.place import Place, open_folder, reason
from rexec.copying.receiving import Receiver
from rexec.copying.sending import Sender
from rexec.copying.stream import Reader, Writer
from rexec.errors import RexecError
from rexec.policy.forms import GET
from rexec.policy.paths import matches
from rexec.policy.request import bytes_of, text_of
from rexec.policy.wording import quoted
from rexec.process.checks import located

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.policy.grant import Fence
    from rexec.policy.rules import PathCheck, Permit

_GET_OPTIONS = ("-r", "--resume")
_PUT_OPTIONS = ("-r", "-p")
_FAILED, _INTERRUPTED = 1, 255  # exit statuses
_ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Ended(BaseException):
    """A signal ends the copy: what is under way is tidied up."""


def refusal(permit: Permit) -> str | None:
    """Return what is wrong with the options of a copy, or None."""
    way, _, *options = permit.argv
    known = _GET_OPTIONS if way == GET else _PUT_OPTIONS
    for option in options:
        if option not in known:
            return f"{permit.rule.label}: {way} has no option {quoted(option)}"
    return None


def prepare(permit: Permit) -> tuple[Fence, Callable[[], int]]:
    """Get a copy ready in the child that is to do it; return its fence, and what does it then."""
    for number in _ENDS:
        signal.signal(number, _end)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # a write fails instead, and that is told
        signal.signal(number, signal.SIG_IGN)
    way, _, *options = permit.argv
    (check,) = permit.checks
    try:
        place, fence = _place(permit, check)
    except OSError as error:
        message = reason(error)
        return permit.fence, lambda: _run(lambda reader, writer: _decline(way, message, reader, writer))
    if way == GET:
        return fence, lambda: _run(lambda reader, writer: _send(options, place, reader, writer))
    terms = Terms(permit.umask, new=check.kind == "new", recursive="-r" in options, times="-p" in options)
    return fence, lambda: _run(lambda reader, writer: _receive(terms, place, reader, writer))


def _end(*_: object) -> None:
    for number in _ENDS:  # once: the second one would end the tidying up
        signal.signal(number, signal.SIG_IGN)
    raise Ended


def _place(permit: Permit, check: PathCheck) -> tuple[Place, Fence]:
    """Find the place that a check is about, and the fence around it. Raises `OSError`."""
    glob, real = located(check)
    above, name = os.path.split(real)
    folder = open_folder(above)
    if os.readlink(b"/proc/self/fd/%d" % folder) != above:
        raise OSError(errno.ELOOP, "leads elsewhere by now")
    fence = permit.fence
    roots = [os.path.realpath(bytes_of(root)) for root in fence.rw]
    if check.writing and not any(_is_in(root, above) for root in roots):
        fence = fence._replace(rw=(*fence.rw, text_of(above)))  # a rule for one file: it is made in there
    return Place(folder, name or b".", None if glob.endswith("/**") else _within(glob, real)), fence


def _is_in(root: bytes, path: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def _within(glob: str, real: bytes) -> Callable[[tuple[bytes, ...]], bool]:
    """Return what tells of a path below a place whether the rule names it too."""
    return lambda path: matches(glob, text_of(os.path.join(real, *path)))


def _run(work: Callable[[Reader, Writer], bool]) -> int:
    """Do the work of the child on its streams; return its exit status."""
    try:
        return 0 if work(Reader(0), Writer(1)) else _FAILED
    except (RexecError, OSError, MemoryError, Ended):
        return _INTERRUPTED


def _send(options: list[str], place: Place, reader: Reader, writer: Writer) -> bool:
    sender = Sender(reader, writer, recursive="-r" in options, resume="--resume" in options)
    sender.send(place)
    return not sender.failed


def _receive(terms: Terms, place: Place, reader: Reader, writer: Writer) -> bool:
    receiver = Receiver(reader, writer, place, terms)
    receiver.run()
    return not receiver.failed


def _decline(way: str, message: str, reader: Reader, writer: Writer) -> bool:
    """Say why there is nothing to be copied from here, or to here."""
    if way == GET:
        writer.put(r.Skipped(b"", message))
        writer.put(r.Finish())
    else:
        writer.put(r.Refused(1, (), message))
        writer.put(r.Done(0, 1))
    writer.flush()
    while reader.next() is not None:
        pass
    return False
