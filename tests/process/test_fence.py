"""The fence, end to end: what a program behind it can start, touch and open, and what the runner hears."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rexec.policy.grant import NO_FENCE, Fence
from rexec.process import fence, landlock
from rexec.process.interpreters import interpreters
from tests.process.launching import TERMINAL, run

PYTHON = os.path.realpath(sys.executable)  # a venv's is a link, and reads files beside it
LOADER = next(interpreters(shutil.which("true") or ""), "")
CATCH = "try:\n    {}\nexcept OSError as error: print(error.strerror)\nelse: print('it was done')"

CONFINED = f"confine ro {sys.base_prefix}"

needs_both = pytest.mark.usefixtures("kernel")


@pytest.fixture(scope="session")
def kernel() -> None:
    """The kernel must have both: a machine without them tests nothing here, and has to say so."""
    assert fence.features() == {"landlock", "seccomp"}


pytestmark = needs_both


def python(options: str, code: str, *words: str) -> tuple[str, ...]:
    return f"{PYTHON} ...\n    {options}\n", PYTHON, "-I", "-c", code, *words


def canary(folder: Path) -> Path:
    """A program that leaves a mark when it is started."""
    program = folder / "canary"
    program.write_text(f"#!/bin/sh\necho started > {folder}/mark\n")
    program.chmod(0o755)
    return program


# --- noexec ---------------------------------------------------------------------------------------


def test_the_program_of_the_rule_is_started() -> None:
    assert run("echo ...\n    noexec\n", "echo", "a", "b")[:4] == (0, "", "a b\n", "")


def test_a_script_of_the_rule_is_started_with_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('#!/bin/sh\necho "$1"\n')
    script.chmod(0o755)
    found = run(f"{script} ...\n    noexec\n", str(script), "a  b")
    assert (found.out, found.attempts) == ("a  b\n", [])


def test_a_shell_starts_nothing(tmp_path: Path) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs"."""
    program = canary(tmp_path)
    found = run("sh ...\n    noexec\n", "sh", "-c", f"echo before; {program}; exec {program}")
    assert found.out == "before\n"
    assert found.status == 126
    assert not (tmp_path / "mark").exists()
    assert found.attempts == [f"noexec: {program} was not started"] * 2


def test_an_attempt_names_the_process_and_the_path_without_harm(tmp_path: Path) -> None:
    """security.md, People's terminals: "Control characters ... in ... file names"."""
    (tmp_path / "a\x1b[2J\nb").symlink_to("/bin/true")
    code = f"import os\nprint(os.getpid(), flush=True)\nos.execv({str(tmp_path)!r} + '/a\\x1b[2J\\nb', ['x'])"
    found = run(*python("noexec", code))
    (escape,) = found.escapes
    assert escape.pid == int(found.out)
    assert escape.path == f"{tmp_path}/a\\x1b[2J\\x0ab"


@pytest.mark.parametrize(
    "code",
    [
        "os.execv(program, [program])",
        "os.posix_spawn(program, [program], {})",
        "import subprocess; subprocess.run([program])",  # vfork
        "import subprocess; subprocess.run([program], preexec_fn=os.getpid)",  # fork
        "os.execve(os.open(program, os.O_RDONLY), [program], {})",  # execveat, AT_EMPTY_PATH
        "os.chdir(os.path.dirname(program)); os.execv('./canary', ['canary'])",
        "os.execv('/bin/sh', ['sh', program])",
        "os.execv('/proc/self/exe', ['python', program])",
        "os.system(program) and os.execv(program, [program])",
    ],
)
def test_there_is_no_way_to_start_a_program(tmp_path: Path, code: str) -> None:
    program = canary(tmp_path)
    found = run(
        *python("noexec", "import os, sys; program = sys.argv[1]\n" + CATCH.format(code), str(program))
    )
    assert found.out == "Operation not permitted\n", found
    assert found.escapes
    assert not (tmp_path / "mark").exists()


def test_a_thread_starts_nothing_either(tmp_path: Path) -> None:
    program = canary(tmp_path)
    code = (
        "import os, sys, threading\n"
        "def work():\n"
        f"    try: os.execv({str(program)!r}, ['x'])\n"
        "    except OSError as error: print(error.strerror, flush=True)\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]"
    )
    found = run(*python("noexec", code))
    assert found.out == "Operation not permitted\n" * 8
    assert len(found.escapes) == 8
    assert not (tmp_path / "mark").exists()


def test_the_loader_is_not_started_as_a_program() -> None:
    """allow-list.md: "running the ELF loader as a program walks around them"."""
    assert LOADER
    found = run("sh ...\n    noexec\n", "sh", "-c", f"{LOADER} /bin/true")
    assert found.status == 126
    assert found.attempts == [f"noexec: {LOADER} was not started"]


def test_a_program_in_memory_is_not_started() -> None:
    code = (
        "import os\nmemory = os.memfd_create('x')\nos.write(memory, open('/bin/true', 'rb').read())\n"
        + CATCH.format("os.execve(memory, ['x'], {})")
    )
    found = run(*python("noexec", code))
    assert found.out == "Operation not permitted\n"
    assert found.attempts == ["noexec: a program without a name was not started"]


def test_a_child_of_a_child_starts_nothing() -> None:
    code = (
        "import os\nfor _ in range(3):\n    pid = os.fork()\n    if pid: os.waitpid(pid, 0); os._exit(0)\n"
        "os.setsid()\n" + CATCH.format("os.execv('/bin/true', ['x'])") + "\nimport sys; sys.stdout.flush()"
    )
    assert run(*python("noexec", code)).out == "Operation not permitted\n"


def test_a_search_along_path_ends_at_the_first_that_is_there(tmp_path: Path) -> None:
    program = canary(tmp_path)
    code = f"import os\nos.environ['PATH'] = '/nowhere:{tmp_path}/none:{tmp_path}:/usr/bin'\n" + CATCH.format(
        "os.execvp('canary', ['canary'])"
    )
    found = run(*python("noexec", code))
    assert found.attempts == [f"noexec: {program} was not started"]


def test_a_filter_of_the_program_weakens_nothing() -> None:
    """A second filter that allows all is asked, and the stricter answer holds."""
    code = f"""
import ctypes, os, struct, sys
sys.path.insert(0, {str(Path(fence.__file__).parents[2])!r})
from rexec.process import seccomp
from rexec.process.abi import native
seccomp._set(native(), [(6, 0, 0, seccomp._ALLOW)], 0)
try: seccomp.install(execs=True, only_listed=False, sockets=False)
except OSError as error: print(error.strerror)
try: os.execv('/bin/true', ['x'])
except OSError as error: print(error.strerror)
"""
    found = run(f"{PYTHON} ...\n    noexec\n", PYTHON, "-c", code)
    assert found.out == "Device or resource busy\nOperation not permitted\n", found


def test_a_word_where_no_memory_is_stops_nobody() -> None:
    code = (
        "import ctypes\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        "for address in (0, 1, 2**64 - 1, 2**63, 2**47):\n"
        "    library.syscall(ctypes.c_long(NUMBER), ctypes.c_ulong(address), None, None)\n"
        "    print(ctypes.get_errno())"
    )
    from rexec.process.abi import native

    abi = native()
    assert abi is not None
    found = run(*python("noexec", code.replace("NUMBER", str(abi.execve))))
    assert found.out == "1\n" * 5
    assert {escape.path for escape in found.escapes} == {"a program without a name"}


def test_another_process_of_the_account_is_out_of_reach() -> None:
    """A process that is not fenced could start what this one may not."""
    other = subprocess.Popen(["sleep", "600"])
    code = (
        "import ctypes, os, sys\npid = int(sys.argv[1])\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        "print(library.ptrace(16, pid, None, None), ctypes.get_errno())\n"  # PTRACE_ATTACH
        + CATCH.format("open(f'/proc/{pid}/mem', 'r+b')")
    )
    try:
        found = run(*python("noexec", code, str(other.pid)))
    finally:
        other.kill()
        other.wait()
    assert found.out == "-1 1\nPermission denied\n"


def test_renames_between_directories_stay_possible(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "file").touch()
    run(*python("noexec", f"import os; os.rename('{tmp_path}/one/file', '{tmp_path}/two/file')"))
    assert (tmp_path / "two" / "file").exists()


def test_noexec_holds_with_a_terminal() -> None:
    found = run("sh ...\n    noexec\n", "sh", "-c", "test -t 0 && echo yes; ls", terminal=TERMINAL)
    assert found.out.startswith("yes\n")
    assert "not permitted" in found.out


def test_what_outlives_its_watch_starts_nothing() -> None:
    """With `background keep` a program may live on; nobody answers it any more."""
    from rexec.process.child import Child
    from rexec.process.launch import begin
    from tests.process.launching import _launched, end
    from tests.process.test_child import permit_of

    permit = permit_of("sh ...\n    noexec\n", "sh", "-c", "read x; /bin/true; echo $?")
    launch = begin(permit, None)
    assert not isinstance(launch, tuple)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    assert launch.fence is not None
    launch.fence.close()
    os.write(child.streams[0], b"go\n")
    assert os.read(child.streams[1], 100) in (b"126\n", b"127\n")
    end(child)


# --- exec-only ------------------------------------------------------------------------------------


def test_only_listed_programs_are_started(tmp_path: Path) -> None:
    program = canary(tmp_path)
    found = run(
        "sh ...\n    exec-only /usr/bin/env\n", "sh", "-c", f"env echo; env; {program}; cat /dev/null"
    )
    assert "REXEC_USER=alice" in found.out
    assert not (tmp_path / "mark").exists()
    assert f"exec-only: {program} was not started" in found.attempts


def test_a_listed_script_finds_its_interpreter(tmp_path: Path) -> None:
    program = canary(tmp_path)
    found = run(
        f"{PYTHON} ...\n    exec-only {program}\n", PYTHON, "-c", f"import os; os.execv('{program}', ['x'])"
    )
    assert (found.status, found.attempts) == (0, [])
    assert (tmp_path / "mark").read_text() == "started\n"


def test_its_interpreter_is_not_started_by_itself(tmp_path: Path) -> None:
    program = canary(tmp_path)
    code = "import os\n" + CATCH.format("os.execv('/bin/sh', ['sh', '-c', 'echo'])")
    assert run(*python(f"exec-only {program}", code)).out == "Operation not permitted\n"


def test_the_loader_is_not_started_beside_listed_programs() -> None:
    found = run("sh ...\n    exec-only /usr/bin/env\n", "sh", "-c", f"{LOADER} /usr/bin/env")
    assert found.attempts == [f"exec-only: {LOADER} was not started"]


def test_with_listed_programs_memory_holds_none() -> None:
    code = CATCH.format("import os; os.memfd_create('x', 0)") + "\nprint(os.memfd_create('x', 8) > 2)"
    assert run(*python("exec-only /usr/bin/env", code)).out == "Function not implemented\nTrue\n"


def test_a_listed_name_that_leads_elsewhere_now_is_not_started(tmp_path: Path) -> None:
    """security.md, Around the allow list: "a link swapped between check and use": rules of Landlock hold on
    to the files that were there at the start."""
    good, bad = tmp_path / "good", canary(tmp_path)
    shutil.copy("/bin/true", good)
    code = f"import os\nos.replace({str(bad)!r}, {str(good)!r})\n" + CATCH.format(
        f"os.execv({str(good)!r}, ['x'])"
    )
    found = run(*python(f"exec-only {good}", code))
    assert found.out == "Permission denied\n"
    assert not (tmp_path / "mark").exists()


# --- confine --------------------------------------------------------------------------------------


def test_a_confined_program_runs_with_its_libraries_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    found = run("cat ...\n    confine\n", "cat", "/dev/null", str(secret), "/etc/hostname")
    assert (found.status, found.out) == (1, "")
    assert found.err.count("Permission denied") == 2


def test_roots_are_read_and_others_are_written(tmp_path: Path) -> None:
    read, write = tmp_path / "read", tmp_path / "write"
    read.mkdir()
    write.mkdir()
    (read / "file").write_text("here\n")
    script = (
        f"read x < {read}/file; echo $x; echo new > {write}/file; (echo no > {read}/new) 2>&-;"
        f" (echo no > {tmp_path}/new) 2>&-; (: < /etc/passwd) 2>&-"
    )
    found = run(f"sh ...\n    confine ro {read} rw {write}\n", "sh", "-c", script)
    assert found.out == "here\n"
    assert (write / "file").read_text() == "new\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "file", "read", "write"]


def test_what_was_written_is_not_started(tmp_path: Path) -> None:
    program = canary(tmp_path)
    found = run(f"sh ...\n    confine ro /usr/bin rw {tmp_path}\n", "sh", "-c", f"/usr/bin/true && {program}")
    assert found.status == 126
    assert not (tmp_path / "mark").exists()


def test_a_confined_link_leads_nowhere(tmp_path: Path) -> None:
    """security.md, Around the allow list: "Links that leave a root"."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret\n")
    (root / "link").symlink_to("../secret")
    os.link(tmp_path / "secret", tmp_path / "other")
    found = run(f"cat ...\n    confine ro {root}\n", "cat", f"{root}/link", f"{root}/../secret")
    assert found.out == ""
    assert found.err.count("Permission denied") == 2


def test_a_root_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    found = run(f"cat ...\n    confine ro {tmp_path}/none\n", "cat", str(tmp_path / "none"))
    assert found.status == 1


def test_a_confined_program_keeps_its_terminal() -> None:
    script = "test -t 0 && stty size < /dev/tty > $(tty)"
    rule = "sh ...\n    confine ro /usr/bin\n"
    assert run(rule, "sh", "-c", script, terminal=TERMINAL).out == "24 80\n"


def test_a_confined_program_signals_nobody_else() -> None:
    if landlock.version() < 6:
        return  # the kernel cannot hold it, and the page says so
    other = subprocess.Popen(["sleep", "600"])
    try:
        found = run("sh ...\n    confine\n", "sh", "-c", f"kill {other.pid}")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert "not permitted" in found.err


@pytest.mark.parametrize("options", [CONFINED, f"{CONFINED} net none", "noexec", f"exec-only {PYTHON}"])
def test_limits_of_other_processes_are_out_of_reach(options: str) -> None:
    """fence.md: "the limits of other processes": with one of CPU time it could end the runner."""
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            code = "import resource\n" + CATCH.format(f"resource.prlimit({other.pid}, 0, (0, 0))")
            code += "\nresource.setrlimit(7, (10, 10)); print(resource.getrlimit(7), resource.prlimit(0, 7))"
            found = run(*python(options, code))
            assert resource.prlimit(other.pid, 0)[0] == resource.RLIM_INFINITY
        finally:
            other.kill()
    assert found.out == "Operation not permitted\n(10, 10) (10, 10)\n"


def test_a_confined_program_cannot_start_what_is_not_in_its_roots(tmp_path: Path) -> None:
    program = canary(tmp_path)
    found = run("sh ...\n    confine\n", "sh", "-c", f"{program}; /bin/cat /dev/null; {LOADER} {program}")
    assert not (tmp_path / "mark").exists()
    assert found.err.count("ermission denied") >= 2


# --- net none -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("socket.socket()", "Permission denied"),
        ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)", "Permission denied"),
        ("socket.socket(socket.AF_UNIX)", "Permission denied"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "Permission denied"),
        ("socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)", "Permission denied"),
        ("socket.socketpair()", "it was done"),
        ("socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)", "it was done"),
    ],
)
def test_without_net_there_is_no_socket(code: str, answer: str) -> None:
    options = f"confine net none ro {sys.base_prefix}"
    assert run(*python(options, "import socket\n" + CATCH.format(code))).out == answer + "\n"


def test_an_attempt_to_open_a_socket_is_seen() -> None:
    code = "import socket\n" + CATCH.format("socket.socket()") + "\n" + CATCH.format("socket.socket(1)")
    found = run(*python(f"confine net none ro {sys.base_prefix}", code))
    sockets = [attempt for attempt in found.attempts if "socket" in attempt]
    assert sockets == ["net none: a socket (AF_INET) was not opened"]  # local ones are tried by glibc


def test_rings_that_make_sockets_are_not_there() -> None:
    code = (
        "import ctypes\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        "print(library.syscall(ctypes.c_long(425), 1, ctypes.create_string_buffer(256)), ctypes.get_errno())"
    )
    assert run(*python(f"confine net none ro {sys.base_prefix}", code)).out == "-1 38\n"


# --- asking for it --------------------------------------------------------------------------------


def test_a_fence_is_asked_for_by_what_it_holds() -> None:
    assert not NO_FENCE.is_asked_for
    assert not Fence(best_effort=True).is_asked_for
    for asked in (Fence(noexec=True), Fence(exec_only=()), Fence(confined=True), Fence(net=False)):
        assert asked.is_asked_for
        assert fence.needs_watch(asked)
        assert fence.needs_reporter(asked) == asked.confined


def test_no_descriptor_is_left_behind() -> None:
    """security.md, Processes: "descriptors left over after 10,000 commands"."""
    run("true\n    noexec\n", "true")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(20):
        run("true\n    noexec\n", "true")
        run("sh ...\n    noexec\n    confine net none\n", "sh", "-c", "/bin/true")
    assert sorted(os.listdir("/proc/self/fd")) == before
