"""The front door: argv, terminals, environment, exit codes."""

from __future__ import annotations

import sys

from rexec.errors import RexecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from importlib.machinery import ModuleSpec
else:
    import posix as os


class Elsewhere:
    """What is not in its place is sought as ever: by .pth files, or in the packages of the system."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        import site

        sys.meta_path.remove(cls)
        site.main()
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)  # type: ignore[arg-type]
        return next(filter(None, found), None)


def begin() -> None:
    """Take a client's first steps, which are the same for all of them."""
    if sys.flags.no_site:  # bin/rexec
        sys.meta_path.append(Elsewhere)
    open_streams()


def lacking(error: OSError | ImportError | MemoryError) -> RexecError:
    """Return what this machine has no more of, such as memory, descriptors or a library, as one line."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return RexecError(f"{place}{(error.strerror or str(error) or 'cannot go on').lower()}")
    return RexecError("out of memory" if isinstance(error, MemoryError) else f"cannot be loaded: {error}")


def open_streams() -> None:
    """Open closed standard streams: their numbers must not be given to a socket (fstat(2), EBADF).

    Writing to a closed stdout fails, as it does for every program; a closed stderr is nobody's loss.
    """
    for descriptor, how in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/dev/null", how)
