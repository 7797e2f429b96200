"""The disk: files of keys and trust, read only when nobody else could have written them.

What is read is judged by its open descriptor, so that nothing can be swapped in between; what is
written is there completely or not at all, never through a link, and never over something else.
Errors of the system end here as `ConfigError`, one line each.
"""

from __future__ import annotations

import sys

from rexec.errors import ConfigError
from rexec.limits import KEY_FILE_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import stat
    from collections.abc import Callable, Mapping
else:
    import _stat as stat
    import posix as os

NULL = "/dev/null"
PRIVATE = 0o600
PUBLIC = 0o644
HOME = 0o700
_LAX = 0o022  # writable by others than the owner
_OPEN = 0o077  # readable or writable by others than the owner
# A FIFO must not hang us, a terminal not become ours, a child not inherit it.
_COMMON = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CREATE = _COMMON | os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_CHUNK = 64 * 1024  # bytes of one read


def read_private(path: str) -> bytes:
    """Return a file that nobody else may read or write, such as a private key. Raises `ConfigError`."""
    return _read(path, KEY_FILE_MAX, lambda found: _judge(path, found, _OPEN, "read or write", "600"))


def open_private(path: str, flags: int) -> int:
    """Open a file that nobody else may read or write, and no link. Raises `ConfigError`."""
    descriptor = _open(path, flags | _COMMON | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path}: is not a regular file")
        _judge(path, found, _OPEN, "read or write", "600")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_trusted(path: str, limit: int) -> str:
    """Return the text of a file that nobody else may write. Raises `ConfigError`."""
    data = _read(path, limit, lambda found: _judge(path, found, _LAX, "write", "go-w"))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8") from None


def read_any(path: str, limit: int = KEY_FILE_MAX) -> bytes:
    """Return a file whoever wrote it, such as a public key that somebody sent. Raises `ConfigError`."""
    return _read(path, limit, lambda _: None)


def _read(path: str, limit: int, judge: Callable[[os.stat_result], None]) -> bytes:
    descriptor = _open(path, os.O_RDONLY | _COMMON)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path}: is not a regular file")
        judge(found)
        return _read_all(descriptor, path, limit)
    except OSError as error:
        raise refused(path, error) from None
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, path: str, limit: int) -> bytes:
    """Read to the end; the size that the system names is not believed."""
    data = bytearray()
    while chunk := os.read(descriptor, min(_CHUNK, limit + 1 - len(data))):
        data += chunk
        if len(data) > limit:
            raise ConfigError(f"{path}: is larger than {limit} bytes")
    return bytes(data)


def _judge(path: str, found: os.stat_result, forbidden: int, deed: str, mode: str) -> None:
    """Refuse what belongs to somebody else or is open to others."""
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path}: belongs to another user (uid {found.st_uid})")
    if found.st_mode & forbidden:
        raise ConfigError(f"{path}: others may {deed} it", hint=f"chmod {mode} {_word(path)}")


def _word(path: str) -> str:
    """Return a path as one word of a shell."""
    if path and all(char.isalnum() or char in "/._-+@%:," for char in path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"


def _open(path: str, flags: int, mode: int = 0) -> int:
    try:
        return os.open(path, flags, mode)
    except OSError as error:
        raise refused(path, error) from None
    except ValueError:  # a NUL in it
        raise ConfigError(f"{path}: is no path") from None


def refused(path: str, error: OSError) -> ConfigError:
    """Return an error of the system as one line."""
    from errno import ELOOP

    if isinstance(error, FileExistsError):
        words = "already exists, and is never overwritten"
    elif error.errno == ELOOP:
        words = "is a symbolic link that is not followed"
    else:
        words = (error.strerror or str(error)).lower()
    return ConfigError(f"{path}: {words}")


def create_private(path: str, data: bytes) -> None:
    """Write a new file 0600, completely or not at all. Raises `ConfigError`, also when it exists."""
    _create(path, data, PRIVATE)


def create_public(path: str, data: bytes) -> None:
    """Write a new file 0644, completely or not at all. Raises `ConfigError`, also when it exists."""
    _create(path, data, PUBLIC)


def _create(path: str, data: bytes, mode: int) -> None:
    try:
        _place(path, data, mode)
    except OSError as error:
        raise refused(path, error) from None  # by the name that people know


def _place(path: str, data: bytes, mode: int) -> None:
    """Write a new file, completely or not at all. Raises `OSError`, and `ConfigError` for what is no path."""
    beside = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        descriptor = os.open(beside, _CREATE, PRIVATE)
    except ValueError:  # a NUL in it
        raise ConfigError(f"{path}: is no path") from None
    try:
        _fill(descriptor, data, mode)
        # Unlike a rename, a link never takes the place of what is there: of two creators one wins,
        # and a link that somebody planted under this name stays what it is.
        os.link(beside, path)
    finally:
        os.close(descriptor)
        os.unlink(beside)
    _sync(path[: path.rfind("/") + 1] or ".")


def _fill(descriptor: int, data: bytes, mode: int) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fchmod(descriptor, mode)  # whatever the umask is
    os.fsync(descriptor)


def _sync(directory: str) -> None:
    """Make new names in a directory outlast a power cut, where its file system can."""
    descriptor = _open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def ensure_home(path: str) -> None:
    """Make a directory 0700 where there is none; refuse one that others may write. Raises `ConfigError`."""
    try:
        found = _made(path) or os.stat(path)
    except OSError as error:
        raise refused(path, error) from None
    except ValueError:
        raise ConfigError(f"{path}: is no path") from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{path}: is not a directory")
    _judge(path, found, _LAX, "write", "go-w")


def _made(path: str) -> os.stat_result | None:
    """Make a directory, unless there is something."""
    try:
        os.mkdir(path, HOME)
    except FileExistsError:
        return None
    os.chmod(path, HOME)  # whatever the umask is
    return os.lstat(path)


def append_line(path: str, line: str) -> None:
    """Add a line at the end of a file, made 0600 where there is none. Raises `ConfigError`.

    What is made has its line from the first: an empty list of keys would let nobody in.
    """
    if "\n" in line or "\r" in line:
        raise ConfigError(f"{path}: a line to add has an end of line in it")
    data = line.encode("utf-8", "surrogateescape") + b"\n"
    if stamp(path) is None and _is_begun(path, data):
        return
    descriptor = _open_to_append(path)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path}: is not a regular file")
        _judge(path, found, _LAX, "write", "go-w")
        cut = found.st_size and os.pread(descriptor, 1, found.st_size - 1) != b"\n"
        _append(descriptor, (b"\n" if cut else b"") + data)
    except OSError as error:
        raise refused(path, error) from None
    finally:
        os.close(descriptor)


def _is_begun(path: str, data: bytes) -> bool:
    """Make a file with its first line; not where there is one by now, or a disk knows no second names."""
    try:
        _place(path, data, PRIVATE)
    except (FileExistsError, PermissionError):
        return False
    except OSError as error:
        raise refused(path, error) from None
    return True


def _open_to_append(path: str) -> int:
    """Open a file, or make it; a file that another process makes meanwhile is opened."""
    flags = _COMMON | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        return _open(path, flags)
    except OSError as error:
        raise refused(path, error) from None
    except ValueError:
        raise ConfigError(f"{path}: is no path") from None
    os.fchmod(descriptor, PRIVATE)
    return descriptor


def _append(descriptor: int, data: bytes) -> None:
    """Write with one call, so that lines of two processes do not mix."""
    if os.write(descriptor, data) != len(data):
        from errno import ENOSPC

        raise OSError(ENOSPC, os.strerror(ENOSPC))
    os.fsync(descriptor)


def home(option: str | None, environ: Mapping[str, str]) -> str:
    """Return the directory of all state: `--home`, else `REXEC_HOME`, else `~/.rexec`."""
    if option is not None:
        if not option:
            raise ConfigError("--home names no directory")
        return option
    return environ.get("REXEC_HOME") or beneath(environ.get("HOME") or _account_home(), ".rexec")


def _account_home() -> str:
    from pwd import getpwuid

    try:
        return getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise ConfigError(
            "this user has no home directory", hint="name one by --home or REXEC_HOME"
        ) from None


def stamp(path: str) -> tuple[int, int, int, int] | None:
    """Return what changes when a file does, None while there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


# --- what `os` has besides the calls themselves -------------------------------------------------


def environ() -> Mapping[str, str]:
    """Return the variables of this process; whoever has imported `os` may have changed them there."""
    if (known := sys.modules.get("os")) is not None:
        found: Mapping[str, str] = known.environ
        return found
    from posix import environ as given

    coding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    return {name.decode(coding, errors): text.decode(coding, errors) for name, text in given.items()}


def encoded(text: str) -> bytes:
    """Return the bytes that a word of the command line, or a variable, was made of.

    A word of a file may have letters that our locale has none for. Raises `ConfigError`.
    """
    try:
        return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    except UnicodeEncodeError as error:
        raise ConfigError(f"{text!a}: not in the locale's {error.encoding}", hint="LC_ALL=C.UTF-8") from None


def beneath(folder: str, name: str) -> str:
    """Return the path of what has a name in a directory."""
    return folder + name if folder.endswith("/") else f"{folder}/{name}"


def expanded(path: str) -> str:
    """Return a path whose `~` in front is replaced by a home directory."""
    if not path.startswith("~"):
        return path
    from posixpath import expanduser

    try:
        return expanduser(path)
    except UnicodeEncodeError:  # no user has a name that the locale cannot write
        return path
