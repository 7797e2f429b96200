"""Confined programs and the reporter beside them: what it tells, what it never holds up, and its end."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from rexec.process import fence, reporter, seccomp
from rexec.process.abi import Abi
from rexec.process.child import Child, NotStarted
from rexec.process.launch import Launch, begin
from rexec.process.questions import Asked, Memory
from rexec.process.reports import ASKS, REPORT, Reports
from rexec.process.starts import Escape
from rexec.process.trespass import Judge, Trespass
from tests.process.launching import Outcome, _launched, end, run, to_the_end
from tests.process.test_child import permit_of

PYTHON = os.path.realpath(sys.executable)
PATIENCE = 60.0
TRY = """
import os, sys, threading
out = sys.argv[1]
def attempt(name):
    try: os.close(os.open(f"{out}/{name}", os.O_RDONLY))
    except OSError as error: return error.strerror
    return "it was opened"
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A place outside of the roots, with a file."""
    assert fence.features() == {"landlock", "seccomp"}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("secret\n")
    return tmp_path / "out"


def python(code: str, out: Path, *options: str) -> tuple[str, ...]:
    rules = f"{PYTHON} ...\n    confine ro {sys.base_prefix}\n" + "".join(f"    {line}\n" for line in options)
    return rules, PYTHON, "-I", "-S", "-c", TRY + code, str(out)


def of(found: Outcome, out: Path) -> list[str]:
    """What was told of a place, without its name."""
    return [attempt.replace(f"{out}/", "") for attempt in found.attempts if str(out) in attempt]


def test_what_is_refused_is_told_with_its_real_path(out: Path) -> None:
    """allow-list.md: "An attempt to leave is an audit event that names the path"."""
    (out.parent / "root").mkdir()
    (out.parent / "root" / "link").symlink_to("../out/file")
    found = run(
        f"cat ...\n    confine ro {out.parent}/root\n", "cat", f"{out.parent}/root/link", f"{out}/none"
    )
    assert (found.status, found.out) == (1, "")
    assert found.attempts == [f"confine: {out}/file was not read"]
    assert found.escapes[0].act == "read"


def test_each_file_is_told_once_for_each_use(out: Path) -> None:
    script = f"cd {out}; for i in 1 2 3; do read x < file; true > file; true > ./new; done"
    found = run("sh ...\n    confine ro /usr/bin\n", "sh", "-c", f"{script}; mkdir dir; rm file; mv file dir")
    assert of(found, out) == [
        f"confine: {done}"
        for done in (
            *("file was not read", "file was not written", "new was not made", "dir was not made"),
            *("file was not removed", "file was not renamed"),
        )
    ]


def test_children_threads_and_descriptors_are_seen(out: Path) -> None:
    for name in ("fork", "thread", "below"):
        (out / name).touch()
    code = (
        "if not os.fork(): attempt('fork'); os._exit(0)\nos.wait()\n"
        "thread = threading.Thread(target=attempt, args=('thread',)); thread.start(); thread.join()\n"
        "below = os.open(out, os.O_PATH); out = f'/proc/self/fd/{below}'; attempt('below')\n"
        "try: os.wait()\nexcept ChildProcessError: print('no child that is not its own')\n"
    )
    found = run(*python(code, out))
    assert found.out == "no child that is not its own\n"
    assert of(found, out) == [f"confine: {name} was not read" for name in ("fork", "thread", "below")]


def test_who_looks_at_itself_is_not_told_of(out: Path) -> None:
    code = (
        "out = '/proc'; names = 'self/status', 'thread-self/maps', 'mounts', 'net/dev', f'{os.getpid()}/fd'\n"
        "for name in names: attempt(name)\n"
        "thread = threading.Thread(target=attempt, args=('self/stat',)); thread.start(); thread.join()\n"
        "attempt(f'{os.getppid()}/stat'); print(os.getppid())"
    )
    found = run(*python(code, out))
    told = [attempt for attempt in found.attempts if "/proc/" in attempt]
    assert told == [f"confine: /proc/{found.out.strip()}/stat was not read"]


def test_a_flood_is_counted(out: Path) -> None:
    """security.md, Processes: one that tries in a loop fills no log."""
    code = "for number in range(1000): attempt('file')\n"
    code += "for number in range(300):\n    try: os.mkdir(f'{out}/{number}')\n    except OSError: pass\n"
    rules, *words = python(code, out)
    launch = begin(permit_of(rules, *words, stdin=False), None)
    assert isinstance(launch, Launch)
    escapes: list[Escape] = []
    child = _launched(launch, escapes)
    assert isinstance(child, Child)
    assert isinstance(launch.fence, Reports)
    while _said(launch, child.streams[0], escapes):
        pass
    child.reap()
    escapes += launch.fence.attend()
    assert len(escapes) == 10
    assert len(escapes) + launch.fence.untold >= 301
    assert launch.fence.untold <= 301
    launch.fence.close()
    for stream in child.streams:
        os.close(stream)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("cat", ("{root}/file", "/dev/null")),
        ("ls", ("-n", "{root}")),
        ("sh", ("-c", "cd {root} && while read x; do echo $x > new; done < file; rm new; command -v none")),
        ("grep", ("-r", "here", "{root}")),
        ("find", ("{root}", "-type", "f")),
        ("tar", ("-c", "--numeric-owner", "-f", "{root}/x.tar", "-C", "{root}", "file")),
        ("cp", ("{root}/file", "{root}/copy")),
        ("mkdir", ("-p", "{root}/a/b")),
        ("sort", ("-o", "{root}/sorted", "{root}/file")),
        (PYTHON, ("-I", "-S", "-c", "pass")),
    ],
)
def test_an_ordinary_program_is_not_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: tuple[str, ...]
) -> None:
    if shutil.which(program) is None:
        return  # a machine without it
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("here\n")
    rules = f"{program} ...\n    cwd {root}\n    confine ro /usr {sys.base_prefix} rw {root}\n"
    found = run(rules, program, *(word.replace("{root}", str(root)) for word in words))
    assert found.attempts == []
    assert found.err == ""


def test_the_other_options_are_held_beside_it(out: Path) -> None:
    code = (
        "import socket\nprint(attempt('file'))\n"
        "try: os.execv('/bin/true', ['true'])\nexcept OSError as error: print(error.strerror)\n"
        "try: os.execv('/bin/none', ['none'])\nexcept OSError as error: print(error.strerror)\n"
        "try: socket.socket()\nexcept OSError as error: print(error.strerror)\n"
    )
    rules, *words = python(code, out, "noexec")
    found = run(rules.replace("\n    noexec", " net none\n    noexec"), *words)
    assert found.out == (
        "Permission denied\nOperation not permitted\nNo such file or directory\nPermission denied\n"
    )
    assert found.attempts[-3:] == [
        f"confine: {out}/file was not read",
        "noexec: /bin/true was not started",
        "net none: a socket (AF_INET) was not opened",
    ]


def test_a_program_outside_of_the_roots_is_told(out: Path) -> None:
    found = run("sh ...\n    confine\n", "sh", "-c", "/bin/cat; exec 2>&-; none")
    assert found.attempts == [f"confine: {os.path.realpath('/bin/cat')} was not started"]
    found = run("sh ...\n    confine ro /usr\n    exec-only /usr/bin/env\n", "sh", "-c", "env; /bin/cat")
    assert found.attempts == ["exec-only: /bin/cat was not started"]


def test_nobody_hides_behind_a_ring_or_a_root(out: Path) -> None:
    """io_uring opens files without a call to look at; behind a root of its own a name means another file."""
    code = (
        "import ctypes\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        "ring = library.syscall(ctypes.c_long(425), 1, ctypes.create_string_buffer(256))\n"
        "print(ring, ctypes.get_errno())\n"
        "print(library.chroot(b'/'), ctypes.get_errno())"
    )
    assert run(*python(code, out)).out == f"-1 {errno.ENOSYS}\n-1 {errno.EPERM}\n"


def forbid_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let none but an ancestor look, as Yama does."""
    monkeypatch.setattr(Memory, "_read_directly", lambda *_: -errno.EPERM)


def test_where_none_but_an_ancestor_may_look_the_runner_lends_its_eyes(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ptrace(2): `ptrace_scope` 1 of Yama. Each process has a memory of its own, each program another one."""
    forbid_looking(monkeypatch)
    for name in ("fork", "thread", "after"):
        (out / name).touch()
    code = (
        "attempt('file')\nif not os.fork(): attempt('fork'); os._exit(0)\nos.wait()\n"
        "thread = threading.Thread(target=attempt, args=('thread',)); thread.start(); thread.join()\n"
        "os.execv('/bin/sh', ['sh', '-c', f'read x < {out}/after'])"
    )
    rules, *words = python(code, out)
    found = run(rules.replace("confine ro", "confine ro /bin /usr/bin"), *words)
    assert of(found, out) == [f"confine: {name} was not read" for name in ("file", "fork", "thread", "after")]
    found = run("sh ...\n    noexec\n", "sh", "-c", "/bin/true")
    assert found.attempts == ["noexec: /bin/true was not started"]


def test_the_memory_of_strangers_is_not_lent(out: Path) -> None:
    """A reporter that is not what it was gets the memory of its own command and of nobody else."""
    launch = begin(permit_of("sh ...\n    confine\n", "sh", "-c", "read x"), None)
    assert isinstance(launch, Launch)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    assert isinstance(launch.fence, Reports)
    launch.fence.attend()
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    taken = Reports(mine)
    taken.reporter = launch.fence.reporter
    lent = {}
    for pid in (child.pid, os.getpid(), os.getppid(), 1, 0, 2**22 + 1):
        other.send(REPORT.pack(ASKS, pid, 0, 0))
        assert taken.attend() == []
        _, descriptors, _, _ = socket.recv_fds(other, 9, 9)
        lent[pid] = len(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
    assert [pid for pid, count in lent.items() if count] == [child.pid]
    other.close()
    taken.close()
    end(child)
    launch.fence.close()


def test_a_memory_that_cannot_be_read_is_told_once(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may forbid its account to look (PR_SET_DUMPABLE); what it opens is refused all the same."""

    def word(self: Memory, pid: int, address: int) -> bytes:
        raise PermissionError(errno.EPERM, "")

    monkeypatch.setattr(Memory, "word", word)
    found = run(*python("print(attempt('file'), attempt('none'))", out))
    assert found.out == "Permission denied No such file or directory\n"
    assert found.attempts == ["confine: what it tries to open is not seen any more"]


def test_a_reporter_that_fails_holds_up_nobody(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(self: Judge, asked: Asked) -> Trespass | None:
        raise RuntimeError

    monkeypatch.setattr(Judge, "judge", judge)
    found = run(*python("print(attempt('file'))", out))
    assert found.out == "Permission denied\n"
    assert found.attempts == ["confine: what it tries to open is not seen any more"]


def test_a_reporter_that_is_held_up_looks_no_more(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead disk, or a memory that does not answer: others who ask meanwhile wait for a moment only.

    Whoever was held up comes back some time, and does nothing any more.
    """
    root = out.parent / "root"
    root.mkdir()
    judge = Judge.judge

    def wait(self: Judge, asked: Asked) -> Trespass | None:
        found = judge(self, asked)
        if found is not None and found.path.endswith(b"stuck"):
            while not (root / "go").exists():
                time.sleep(0.001)
            (root / "back").mkdir()
        return found

    (out / "stuck").touch()
    monkeypatch.setattr(Judge, "judge", wait)
    monkeypatch.setattr(reporter, "REPORT_PATIENCE", 0.02)
    code = (
        f"print(attempt('stuck'), attempt('file'))\nos.mkdir('{root}/go')\n"
        f"while not os.path.exists('{root}/back'): pass\n"
        "assert {attempt('file') for _ in range(100)} == {'Permission denied'}\n"
        "try: os.execv('/bin/true', ['x'])\nexcept OSError: print(1)"
    )
    rules, *words = python(code, out, "noexec")
    found = run(rules.replace("confine ro", f"confine rw {root} ro"), *words)
    assert found.out == "Permission denied Permission denied\n1\n"
    assert found.attempts[-2:] == [
        "confine: what it tries to open is not seen any more",
        "noexec: a program without a name was not started",
    ]


def test_without_its_reporter_a_program_opens_nothing(out: Path) -> None:
    """The kernel answers for a listener that is gone: nothing hangs, and nobody gets freer."""
    code = "print('ready', flush=True); sys.stdin.read(1)\n"
    code += "print(attempt('file'), os.access('/lib', 0), flush=True)\nopen('/dev/null')"
    rules, *words = python(code, out)
    launch = begin(permit_of(rules, *words), None)
    assert isinstance(launch, Launch)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    assert isinstance(launch.fence, Reports)
    assert _said(launch, child.streams[1], []) == b"ready\n"
    assert launch.fence.reporter
    os.kill(launch.fence.reporter, signal.SIGKILL)
    assert select.select([launch.fence.fd], [], [], PATIENCE)[0]
    lost = launch.fence.attend()
    assert str(lost[-1]) == "confine: what it tries to open is not seen any more"
    assert launch.fence.attend() == []
    assert select.select([launch.fence.fd], [], [], 0)[0] == []  # a runner is not kept busy by it
    os.write(child.streams[0], b"\n")
    assert os.read(child.streams[1], 100) == b"Function not implemented True\n"
    assert b"Function not implemented" in _all(child.streams[2])
    end(child)
    launch.fence.close()


def test_where_another_listens_files_are_held_and_that_is_told(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel takes one listener; a container may have one around all of us."""
    install = seccomp._set

    def busy(machine: Abi, program: seccomp.Program, flags: int) -> int:
        if flags & seccomp._NEW_LISTENER:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return install(machine, program, flags)

    monkeypatch.setattr(seccomp, "_set", busy)
    found = run(*python("print(attempt('file'))", out))
    assert found.out == "Permission denied\n"
    assert found.attempts == ["confine: what it tries to open is not seen any more"]
    rules, *words = python("", out, "noexec")
    refused = NotStarted(126, "cannot put up the fence: device or resource busy")
    assert to_the_end(permit_of(rules, *words, stdin=False)) == refused


def test_it_stands_behind_the_fence_and_out_of_the_reach_of_the_program(out: Path) -> None:
    """It can read and write no more than the program, which can neither trace nor end it."""
    code = (
        "import ctypes, signal\nsys.stdout.write('ready\\n'); sys.stdout.flush()\n"
        "pid = int(sys.stdin.readline())\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        "print(library.ptrace(16, pid, None, None))\n"
        "try: os.kill(pid, signal.SIGKILL)\nexcept OSError as error: print(error.strerror)\n"
    )
    rules, *words = python(code, out)
    launch = begin(permit_of(rules, *words), None)
    assert isinstance(launch, Launch)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    assert isinstance(launch.fence, Reports)
    assert _said(launch, child.streams[1], []) == b"ready\n"
    pid = launch.fence.reporter
    names = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    held = sorted(name.split(":")[0] for name in names if not name.endswith("/mem"))  # which are lent
    assert held == ["anon_inode", "socket"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1"
    assert os.getsid(pid) == pid
    os.write(child.streams[0], b"%d\n" % pid)
    answer = _all(child.streams[1])
    if fence.landlock.version() >= 6:
        assert answer == b"-1\nOperation not permitted\n"
    else:
        assert answer.startswith(b"-1\n")
    child.reap()
    launch.fence.close()
    for stream in child.streams:
        os.close(stream)


def test_it_ends_with_its_command(out: Path) -> None:
    launch = begin(permit_of("sh ...\n    confine\n", "sh", "-c", "read x"), None)
    assert isinstance(launch, Launch)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    assert isinstance(launch.fence, Reports)
    launch.fence.attend()
    ended = os.pidfd_open(launch.fence.reporter)
    assert select.select([ended], [], [], 0)[0] == []
    end(child)
    assert select.select([ended], [], [], PATIENCE)[0]
    os.close(ended)
    assert launch.fence.attend() == []  # and says that this is its end
    launch.fence.close()


def test_what_goes_on_when_nobody_hears_of_it_keeps_its_files(out: Path) -> None:
    """With `background keep` a program may live on; it opens what its rule gives, and nothing else."""
    launch = begin(
        permit_of(*python("sys.stdin.read(1)\nopen('/dev/null')\nprint(attempt('file'))", out)), None
    )
    assert isinstance(launch, Launch)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    assert launch.fence is not None
    launch.fence.attend()
    launch.fence.close()
    os.write(child.streams[0], b"\n")
    assert _all(child.streams[1]) == b"Permission denied\n"
    end(child)


def test_bad_words_do_no_harm(out: Path) -> None:
    """Whatever a program passes: the kernel answers, and the next attempt is told as before."""
    code = (
        "import ctypes, random\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        "from_ = {'x86_64': (2, 257, 263, 316, 437), 'aarch64': (56, 35, 276, 437)}[os.uname().machine]\n"
        "random.seed(1)\n"
        "for _ in range(300):\n"
        "    number = random.choice(from_)\n"
        "    words = [random.choice((0, 1, 2**47, 2**64 - 1, random.getrandbits(64))) for _ in range(5)]\n"
        "    library.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, words))\n"
        "print(attempt('file'))"
    )
    found = run(*python(code, out))
    assert found.out == "Permission denied\n"
    assert of(found, out) == ["confine: file was not read"]


def test_processes_of_a_limit_are_those_of_the_program(out: Path) -> None:
    """allow-list.md: `limit procs`: what rexec adds takes nothing away."""
    from rexec.process.become import _tasks_beside

    assert _tasks_beside(permit_of("true\n    confine\n", "true")) == reporter.TASKS
    assert _tasks_beside(permit_of("true\n    noexec\n", "true")) == 0


def _said(launch: Launch, descriptor: int, escapes: list[Escape]) -> bytes:
    """Wait for what a program says, and hear its reporter meanwhile, as the runner does."""
    assert launch.fence is not None
    while True:
        ready = select.select([descriptor, launch.fence.fd], [], [], PATIENCE)[0]
        assert ready
        if launch.fence.fd in ready:
            escapes += launch.fence.attend()
        elif descriptor in ready:
            return os.read(descriptor, 4096)


def _all(descriptor: int) -> bytes:
    data = b""
    while piece := os.read(descriptor, 65_536):
        data += piece
    return data
