"""What is told of a confined program's calls: judged here for calls of this process, without a filter."""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rexec.process import filecalls, landlock, trespass
from rexec.process.bounds import Bounds
from rexec.process.questions import Asked, Memory
from rexec.process.trespass import Judge, Trespass

HERE = -100 & 0xFFFFFFFF  # AT_FDCWD
READ, WRITE = landlock.TO_READ | landlock.EXECUTE, landlock.TO_READ | landlock.TO_WRITE
WRITING = os.O_WRONLY | os.O_CREAT


class Room:
    """Roots to read and to write, a place outside of both, and calls that are judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("ro", "rw", "out"):
            (folder / name / "sub").mkdir(parents=True)
            (folder / name / "file").write_text("x")
            (folder / name / "link").symlink_to("../out/file")
            (folder / name / "sublink").symlink_to(folder / "out" / "sub")
        (folder / "listed").write_text("x")
        places = [("ro", READ), ("rw", WRITE), ("listed", landlock.READ_FILE), ("none", WRITE)]
        bounds = Bounds([(str(folder / name), rights) for name, rights in places], landlock.known_rights())
        self.judge = Judge(bounds, Memory())
        self._kept: list[object] = []

    def address(self, data: bytes) -> int:
        self._kept.append(ctypes.create_string_buffer(data))
        return ctypes.addressof(self._kept[-1])  # type: ignore[arg-type]

    def call(self, name: str, *arguments: int | str | bytes | Path) -> tuple[str, str] | None:
        """Judge a call: words are names below the folder where they have no slash at their start."""
        numbers = filecalls.TABLE[name].numbers
        given = [self._argument(argument) for argument in arguments]
        asked = Asked(1, os.getpid(), numbers[filecalls.column()], 0, (*given, *[0] * (6 - len(given))))
        try:
            found = self.judge.judge(asked)
        except OSError:
            return None
        return found and (os.fsdecode(found.path).removeprefix(f"{self.folder}/"), found.act)

    def _argument(self, argument: int | str | bytes | Path) -> int:
        if isinstance(argument, int):
            return argument
        if isinstance(argument, str):
            argument = os.fsencode(argument if argument.startswith("/") else self.folder / argument)
        return self.address(os.fsencode(argument))

    def open(self, name: str, flags: int = 0) -> tuple[str, str] | None:
        return self.call("openat", HERE, name, flags)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.chdir(tmp_path)
    return Room(tmp_path)


@pytest.mark.parametrize(
    ("name", "flags", "found"),
    [
        ("ro/file", os.O_RDONLY, None),
        ("ro", os.O_RDONLY, None),
        ("ro/sub/../file", os.O_RDONLY, None),
        ("listed", os.O_RDONLY, None),
        ("rw/file", os.O_RDWR | os.O_TRUNC, None),
        ("rw/new", WRITING, None),
        ("rw/new", WRITING | os.O_EXCL, None),
        ("out/file", os.O_RDONLY, ("out/file", "read")),
        ("out/file", os.O_RDWR, ("out/file", "write")),
        ("out/file", os.O_WRONLY | os.O_TRUNC, ("out/file", "write")),
        ("out", os.O_RDONLY, ("out", "read")),
        ("", os.O_RDONLY, ("", "read")),
        ("ro/file", os.O_WRONLY, ("ro/file", "write")),
        ("ro/new", WRITING, ("ro/new", "make")),
        ("out/new", WRITING, ("out/new", "make")),
        ("out/new", WRITING | os.O_EXCL, ("out/new", "make")),
        ("ro/../out/file", os.O_RDONLY, ("out/file", "read")),
        ("ro/link", os.O_RDONLY, ("out/file", "read")),
        ("ro/sublink", os.O_RDONLY, ("out/sub", "read")),
        ("ro/sublink/../file", os.O_RDONLY, ("out/file", "read")),
        ("rw/sublink/new", WRITING, ("out/sub/new", "make")),
        ("ro/link", os.O_RDONLY | os.O_NOFOLLOW, None),  # ELOOP, whatever the fence says
        ("listed", os.O_WRONLY, ("listed", "write")),
        # what the kernel answers without asking Landlock
        ("out/none", os.O_RDONLY, None),
        ("out/none/new", WRITING, None),
        ("out/file", WRITING | os.O_EXCL, None),
        ("out/file", os.O_PATH, None),
        ("none/file", os.O_RDONLY, None),
    ],
)
def test_what_is_opened(room: Room, name: str, flags: int, found: tuple[str, str] | None) -> None:
    if name:
        assert room.open(name, flags) == found
        assert room.open(name, flags) == found  # by what is remembered of the first look
    else:
        assert room.open(str(room.folder), flags) == (str(room.folder), "read")


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (("open", "out/file", os.O_RDONLY), ("out/file", "read")),
        (("creat", "out/new", 0o600), ("out/new", "make")),
        (("creat", "rw/new", 0o600), None),
        (("truncate", "out/file", 0), ("out/file", "write")),
        (("truncate", "rw/file", 0), None),
        (("unlink", "out/file"), ("out/file", "remove")),
        (("unlink", "rw/file"), None),
        (("unlink", "rw/link"), None),
        (("unlink", "out/none"), None),
        (("rmdir", "ro/sub"), ("ro/sub", "remove")),
        (("unlinkat", HERE, "out/sub", 0x200), ("out/sub", "remove")),
        (("rename", "rw/file", "rw/other"), None),
        (("rename", "rw/file", "out/other"), ("out/other", "rename")),
        (("rename", "out/file", "rw/other"), ("out/file", "rename")),
        (("rename", "rw/none", "out/other"), None),
        (("renameat2", HERE, "rw/sub", HERE, "rw/sublink/x", 1), ("out/sub/x", "rename")),
        (("renameat", HERE, "rw/sub", HERE, "rw/sub2"), None),
        (("link", "out/file", "rw/other"), ("out/file", "link")),
        (("linkat", HERE, "rw/file", HERE, "out/other", 0), ("out/other", "link")),
        (("link", "rw/file", "rw/sub/other"), None),
        (("symlink", "/etc/passwd", "rw/other"), None),
        (("symlink", "x", "out/other"), ("out/other", "make")),
        (("symlinkat", "x", HERE, "ro/other"), ("ro/other", "make")),
        (("mkdir", "out/dir", 0o700), ("out/dir", "make")),
        (("mkdir", "out", 0o700), None),  # it is there: what `mkdir -p` hears
        (("mkdirat", HERE, "rw/dir", 0o700), None),
        (("mknod", "out/fifo", stat.S_IFIFO), ("out/fifo", "make")),
        (("mknodat", HERE, "rw/fifo", stat.S_IFIFO), None),
        (("mknodat", HERE, "rw/device", stat.S_IFCHR), ("rw/device", "make")),
        (("execve", "ro/file"), None),  # nobody may execute it
        (("execve", "/bin/true"), (os.path.realpath("/bin/true"), "start")),
        (("execveat", HERE, "/bin/true", 0, 0, 0), (os.path.realpath("/bin/true"), "start")),
    ],
    ids=str,
)
def test_what_else_is_done_with_names(
    room: Room, call: tuple[str, ...], found: tuple[str, str] | None
) -> None:
    if not filecalls.TABLE[call[0]].numbers[filecalls.column()]:
        return  # a machine without the oldest calls
    if call[0] == "truncate" and landlock.version() < 3:
        return  # the kernel does not hold it, and the page says so
    assert room.call(*call) == found


def test_a_script_is_started_with_its_interpreter(room: Room) -> None:
    script = room.folder / "ro" / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert room.call("execve", "ro/script") == (os.path.realpath("/bin/sh"), "start")


def test_names_start_where_the_program_is(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = os.open(room.folder / "ro" / "sub", os.O_RDONLY)
    assert room.call("openat", directory, b"../file", 0) is None
    assert room.call("openat", directory, b"../../out/file", 0) == ("out/file", "read")
    assert room.call("openat", directory, b"", 0) is None
    os.close(directory)
    assert room.call("openat", directory, b"../../out/file", 0) is None  # EBADF
    monkeypatch.chdir(room.folder / "out")
    assert room.call("openat", HERE, b"file", 0) == ("out/file", "read")
    assert room.call("openat", HERE, b"file", os.O_NOFOLLOW) == ("out/file", "read")
    assert room.call("openat", HERE, b".", 0) == ("out", "read")
    assert room.call("openat", HERE, b"../ro/file", 0) is None


def test_an_open_that_stays_beneath_a_directory_is_judged_as_such(room: Room) -> None:
    def how(resolve: int) -> bytes:
        return b"".join(value.to_bytes(8, "little") for value in (os.O_RDONLY, 0, resolve))

    above = os.open(room.folder, os.O_PATH)
    assert room.call("openat2", above, b"out/file", room.address(how(0)), 24) == ("out/file", "read")
    assert room.call("openat2", above, b"/out/file", room.address(how(0x10)), 24) == ("out/file", "read")
    assert room.call("openat2", above, b"../x", room.address(how(0x08)), 24) is None  # EXDEV
    assert room.call("openat2", above, b"out/file", 1, 24) is None
    os.close(above)


def test_links_that_each_process_sees_in_its_own_way(room: Room) -> None:
    out = f"{room.folder}/out/file"
    descriptor = os.open(out, os.O_RDONLY)
    (room.folder / "ro" / "self").symlink_to("/proc/self/root")
    for name in (f"/proc/self/root{out}", "/proc/self/cwd/out/file", f"{room.folder}/ro/self{out}"):
        assert room.open(name) == ("out/file", "read"), name
    for name in (
        f"/proc/self/fd/{descriptor}",
        f"/proc/thread-self/fd/{descriptor}",
        f"/dev/fd/{descriptor}",
    ):
        assert room.open(name) == ("out/file", "read"), name
    os.close(descriptor)


def test_who_looks_at_itself_is_not_told_of(room: Room) -> None:
    for name in ("/proc/self/status", "/proc/self/fd", "/proc/thread-self/maps", f"/proc/{os.getpid()}/stat"):
        assert room.open(name) is None, name
    assert room.open(f"/proc/{os.getppid()}/stat") == (f"/proc/{os.getppid()}/stat", "read")


def test_what_has_no_name_is_not_told_of(room: Room) -> None:
    """Whoever opens it anew was given it: a pipe, a file in memory, one that is removed."""
    reading, writing = os.pipe()
    memory = os.memfd_create("x")
    gone = os.open(room.folder / "out" / "file", os.O_RDONLY)
    (room.folder / "out" / "file").unlink()
    for descriptor in (reading, writing, memory, gone):
        assert room.open(f"/proc/self/fd/{descriptor}") is None
        os.close(descriptor)


def test_a_local_socket_is_made_in_its_directory(room: Room) -> None:
    def bind(name: bytes) -> tuple[str, str] | None:
        address = int(socket.AF_UNIX).to_bytes(2, "little") + name
        return room.call("bind", 3, room.address(address), len(address))

    assert bind(b"out/socket") == ("out/socket", "make")
    assert bind(b"rw/socket\0") is None
    assert bind(b"\0abstract") is None
    assert room.call("bind", 3, room.address(bytes([2, 0, 80, 80])), 4) is None
    assert room.call("bind", 3, 1, 110) is None


def test_what_ordinary_permissions_refuse_is_not_told(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the fence that holds it; root, as which this may run, is refused nothing."""
    monkeypatch.setattr(trespass, "_may", lambda descriptor, mode: not mode & os.W_OK)
    assert room.open("out/file", os.O_RDONLY) == ("out/file", "read")
    for call in (("open", "out/file", os.O_WRONLY), ("mkdir", "out/dir", 0), ("unlink", "out/file")):
        if filecalls.TABLE[call[0]].numbers[filecalls.column()]:
            assert room.call(*call) is None


def test_a_root_that_was_renamed_is_still_one(room: Room) -> None:
    """As with Landlock: rights hold on to files, not to names."""
    assert room.open("ro/file") is None
    (room.folder / "ro").rename(room.folder / "moved")
    os.link(room.folder / "listed", room.folder / "other")
    assert room.open("moved/file") is None
    assert room.open("moved/link") == ("out/file", "read")
    assert room.open("other") is None


def test_a_link_in_the_place_of_a_directory_is_seen_at_once(room: Room) -> None:
    """What is remembered of a directory ends with each link that the program makes or moves."""
    sub, new = room.folder / "rw" / "sub", room.folder / "rw" / "new"
    (sub / "file").touch()
    assert room.open("rw/sub/file") is None
    assert room.call("renameat", HERE, "rw/sub", HERE, "rw/new") is None
    sub.rename(new)
    sub.symlink_to("../out")
    assert room.open("rw/sub/file") == ("out/file", "read")


@pytest.mark.parametrize("address", [0, 1, 2**47, 2**63, 2**64 - 1])
def test_words_where_no_memory_is(room: Room, address: int) -> None:
    for name in filecalls.TABLE:
        assert room.call(name, *[address] * 6) is None


def test_words_without_an_end(room: Room) -> None:
    assert room.open("/" + "x" * 300) is None
    assert room.open("/" + "x/" * 3000) is None
    assert room.call("openat", HERE, b"./" * 2000 + b"out/file", 0) == ("out/file", "read")
    assert room.call("openat", HERE, b"./" * 2050 + b"out/file", 0) is None  # more than the kernel takes


def test_nothing_is_opened_for_it(room: Room) -> None:
    """A FIFO that nobody writes to holds up no one, and no descriptor is left."""
    os.mkfifo(room.folder / "out" / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    assert room.open("out/fifo") == ("out/fifo", "read")
    assert room.call("rename", "out/fifo", "rw/x") == ("out/fifo", "rename") or filecalls.column()
    for name in filecalls.TABLE:
        room.call(name, HERE, "out/fifo", HERE, "ro/self/x", 0, 0)
        room.call(name, "out/fifo", "rw/link", HERE, 0, 0, 0)
        room.call(name, "rw/file", "out/sub", HERE, 0, 0, 0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_thread_is_judged_by_its_own_eyes(room: Room) -> None:
    found: list[Trespass | None] = []

    def work() -> None:
        number = filecalls.TABLE["openat"].numbers[filecalls.column()]
        arguments = (HERE, room.address(b"out/file"), 0, 0, 0, 0)
        found.append(room.judge.judge(Asked(1, threading.get_native_id(), number, 0, arguments)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [Trespass(bytes(room.folder / "out" / "file"), "read")]


def test_numbers_are_those_of_this_machine() -> None:
    """The table against what the C library of this machine calls by name."""
    if subprocess.run(["sh", "-c", "command -v gcc"], capture_output=True, check=False).returncode:
        return  # without headers there is nothing to compare with
    column = filecalls.column()
    numbers = {name: call.numbers[column] for name, call in filecalls.TABLE.items()}
    numbers |= {name: pair[column] for name, pair in filecalls.ROOTS.items()}
    there = {name: number for name, number in numbers.items() if number}
    source = "#include <sys/syscall.h>\n" + "".join(f"__NR_{name} {name}\n" for name in there)
    done = subprocess.run(["gcc", "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert {name: int(number) for number, name in lines} == there


def test_every_call_has_somebody_who_judges_it() -> None:
    for call in filecalls.TABLE.values():
        judging: Callable[..., object] | None = getattr(Judge, f"_{call.act}", None)
        assert judging is not None
