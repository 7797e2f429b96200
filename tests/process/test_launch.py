"""Commands that need code before exec: what they are given, what they are not, and how a failure is told."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
from pathlib import Path

import pytest

from rexec.process.child import NotStarted
from rexec.process.launch import begin, needs_launch
from tests.process.launching import TERMINAL, attempt, run, to_the_end
from tests.process.test_child import permit_of

PYTHON = sys.executable
SYSTEM_PYTHON = "/usr/bin/python3"  # other users may not read a private one
NICE = "    nice 1\n"  # the least that needs a launch


def python(options: str, code: str, *words: str, program: str = PYTHON) -> tuple[str, ...]:
    lines = "".join(f"    {option}\n" for option in options.split("; "))
    return f"{program} ...\n{lines}", program, "-I", "-c", code, *words


# --- who needs it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "    timeout 3s\n    umask 077\n    cwd /\n", "    best-effort\n"])
def test_plain_rules_need_no_code_before_exec(options: str) -> None:
    """performance.md: "What a plain rule needs goes through plain `Popen`"."""
    assert not needs_launch(permit_of(f"true\n{options}", "true"))


@pytest.mark.parametrize("option", ["nice 1", "limit files=9", "noexec", "confine", f"sha256 {64 * 'a'}"])
def test_what_the_kernel_is_to_hold_needs_code_before_exec(option: str) -> None:
    assert needs_launch(permit_of(f"true\n    {option}\n", "true"))


# --- what it inherits -----------------------------------------------------------------------------


def test_arguments_arrive_byte_for_byte() -> None:
    """security.md, Around the allow list: "Bytes 1-255: unchanged"."""
    words = [bytes([byte]).decode("utf-8", "surrogateescape") for byte in range(1, 256)]
    code = "import os, sys; print(list(map(os.fsencode, sys.argv[1:])))"
    found = run(*python("nice 1", code, *words))
    assert found.out == f"{[bytes([byte]) for byte in range(1, 256)]}\n"


@pytest.mark.parametrize("terminal", [None, TERMINAL])
@pytest.mark.parametrize("options", ["nice 1", "noexec", "confine ro /; net none", "limit files=64"])
def test_only_the_streams_are_inherited(options: str, terminal: object) -> None:
    """security.md, Environment and inheritance: "The server's own descriptors ... must not reach a
    child"."""
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    code = "import os; print([n for n in range(3000) if os.path.exists(f'/proc/self/fd/{n}')])"
    options = options.replace("; ", " ")
    try:
        assert run(*python(options, code), terminal=terminal).out == "[0, 1, 2]\n"  # type: ignore[arg-type]
    finally:
        os.close(leak)


def test_environment_umask_and_signals_are_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """security.md, Environment: "The server's own ... environment, umask, signal mask and ignored signals
    must not reach a child"."""
    monkeypatch.setenv("LD_PRELOAD_CANARY", "secret")
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    code = (
        "import os; print(sorted(os.environ)); print(open('/proc/self/status').read());"
        "print(os.getsid(0) == os.getpgrp() == os.getpid())"
    )
    try:
        found = run(*python("nice 1; umask 027; env A=b", code))
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
    assert "CANARY" not in found.out
    assert "'A', 'HOME'" in found.out
    status = dict(re.findall(r"^(\w+):\s*(\w+)", found.out, re.M))
    assert (status["Umask"], int(status["SigBlk"], 16)) == ("0027", 0)
    assert int(status["SigIgn"], 16) & 1 << signal.SIGUSR1 - 1 == 0
    assert found.out.endswith("True\n")


def test_without_stdin_nothing_is_read() -> None:
    found = run("cat\n" + NICE, "cat")
    assert (found.status, found.out) == (0, "")


def test_streams_of_the_server_that_are_closed_do_no_harm() -> None:
    """A server that was started without stdin has pipes where a child has its streams."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.process.launching import run
os.close(0)
found = run("sh ...\\n    nice 1\\n", "sh", "-c", "cat; echo out; echo err >&2")
os.write(1, repr(found[:4]).encode())
"""
    import subprocess

    done = subprocess.run([PYTHON, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"(0, '', 'out\\n', 'err\\n')"


# --- nice and limits ------------------------------------------------------------------------------


def test_nice_is_added() -> None:
    assert run(*python("nice 3", "import os; print(os.nice(0))")).out == f"{min(os.nice(0) + 3, 19)}\n"


def test_limits_hold_and_are_told() -> None:
    code = (
        "import resource as r; print([r.getrlimit(kind) for kind in "
        "(r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_CORE)])"
    )
    found = run(*python("limit cpu=10s mem=1G files=64 fsize=1M", code))
    cpu, mem, files, fsize, _ = eval(found.out)
    assert cpu == (10, 11)  # XCPU, and KILL a second later
    assert (mem, files, fsize) == ((1 << 30,) * 2, (64, 64), (1 << 20,) * 2)


def test_a_limit_is_never_raised() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[1])"
    assert int(run(*python(f"limit files={hard + 1000}", code)).out) <= hard


def test_a_program_that_computes_for_ever_ends() -> None:
    assert run(*python("limit cpu=1s", "while True: pass")).signal == "XCPU"


def test_a_file_that_grows_too_large_ends_it(tmp_path: Path) -> None:
    code = f"with open({str(tmp_path / 'file')!r}, 'wb') as file: file.write(b'x' * 5000)"
    found = run(*python("limit fsize=4K", code))
    assert "File too large" in found.err
    assert (tmp_path / "file").stat().st_size == 4096


def test_memory_that_is_not_there_is_not_had() -> None:
    assert "MemoryError" in run(*python("limit mem=200M", "bytearray(300_000_000)")).err


# --- how a failure is told ------------------------------------------------------------------------


def test_a_missing_program_is_127(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/nowhere\n")
    program.chmod(0o755)
    permit = permit_of(f"{program}\n{NICE}", str(program))
    assert to_the_end(permit) == NotStarted(127, f"{program}: no such file or directory")
    program.write_text("x")
    program.write_bytes(b"\0\1\2")
    assert to_the_end(permit) == NotStarted(127, f"{program}: exec format error")
    program.unlink()
    assert to_the_end(permit) == NotStarted(127, f"{program}: no such file or directory")


def test_a_missing_directory_is_127() -> None:
    found = attempt("true\n    cwd /nowhere\n" + NICE, "true")
    assert found == NotStarted(127, "working directory /nowhere: no such file or directory")


def test_a_list_that_is_too_long_is_126() -> None:
    """security.md, Around the allow list: "one of 3 MB: a clear error"."""
    assert attempt("true ...\n" + NICE, "true", "x" * 200_000) == NotStarted(126, "argument list too long")


def test_a_directory_that_leads_out_of_its_root_is_not_entered(tmp_path: Path) -> None:
    """security.md, Around the allow list: "Links that leave a root"."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to("/etc")
    rules = f"pwd\n    cwd ask {tmp_path}/root/**\n{NICE}"
    found = attempt(rules, "pwd", cwd=f"{tmp_path}/root/out")
    assert found == NotStarted(126, f"working directory {tmp_path}/root/out leads out of {tmp_path}/root")


def test_a_failed_start_leaves_nothing(tmp_path: Path) -> None:
    """security.md, Processes: "zombies, descriptors left over after 10,000 commands"."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    attempt("true\n    noexec\n", "true")
    before, offspring = sorted(os.listdir("/proc/self/fd")), children.read_text()
    for _ in range(10):
        for options in ("nice 1", "noexec", "noexec\n    confine net none"):
            assert isinstance(attempt(f"true\n    cwd /nowhere\n    {options}\n", "true"), NotStarted)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert children.read_text() == offspring


def test_what_opens_too_many_is_told_and_leaves_nothing() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for spare in range(9):
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) - 1 + spare, hard))
        try:
            launch = begin(permit_of("true\n    noexec\n", "true"), TERMINAL if spare % 2 else None)
        except OSError:
            continue  # there was not even one to read the list of programs
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if isinstance(launch, NotStarted):
            assert "too many open files" in launch.message
        else:
            os.kill(launch.pid, signal.SIGKILL)
            os.waitpid(launch.pid, 0)
            for descriptor in (launch.error, *launch._streams):
                os.close(descriptor)
            assert launch.fence is not None
            launch.fence.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


# --- sha256 ---------------------------------------------------------------------------------------


def digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_program_with_the_digest_is_started(tmp_path: Path) -> None:
    program = tmp_path / "echo"
    shutil.copy("/bin/echo", program)
    found = run(f"{program} ...\n    sha256 {digest(program)}\n", str(program), "a b")
    assert (found.out, found.err) == ("a b\n", "")


@pytest.mark.parametrize("more", ["", "    noexec\n", "    confine\n"])
def test_a_script_with_the_digest_is_started(tmp_path: Path, more: str) -> None:
    script = tmp_path / "script"
    script.write_text('#!/bin/sh\necho "$1" $#\n')
    script.chmod(0o755)
    found = run(f"{script} ...\n    sha256 {digest(script)}\n{more}", str(script), "a b", "c")
    assert (found.out, found.err) == ("a b 2\n", "")


def test_another_program_in_its_place_is_not_started(tmp_path: Path) -> None:
    """security.md, Around the allow list: "a program swapped between digest and start"."""
    program, other = tmp_path / "program", tmp_path / "other"
    shutil.copy("/bin/true", program)
    other.write_text(f"#!/bin/sh\necho > {tmp_path}/mark\n")
    other.chmod(0o755)
    permit = permit_of(f"{program}\n    sha256 {digest(program)}\n", str(program))
    other.replace(program)
    assert to_the_end(permit) == NotStarted(126, f"{program} is not the program with this sha256")
    assert not (tmp_path / "mark").exists()


# --- as another account ---------------------------------------------------------------------------


@pytest.mark.system
@pytest.mark.parametrize("terminal", [None, TERMINAL])
def test_another_account_is_become_in_full(terminal: object) -> None:
    """security.md, Around the allow list: "`as`: ... kept supplementary groups (CVE-2021-41617)"."""
    os.setgroups([0, 4, 6])
    code = "import os; print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ['USER'])"
    code += "\ntry: os.setuid(0)\nexcept OSError as error: print(error.strerror)"
    found = run(*python("as nobody; cwd /", code, program=SYSTEM_PYTHON), terminal=terminal)  # type: ignore[arg-type]
    ids = "(65534, 65534, 65534)"
    assert found.out == f"{ids} {ids} [65534] nobody\nOperation not permitted\n"


@pytest.mark.system
def test_another_account_has_no_capabilities() -> None:
    found = run(*python("as nobody; cwd /", "print(open('/proc/self/status').read())", program=SYSTEM_PYTHON))
    sets = dict(re.findall(r"^(Cap(?:Prm|Eff|Amb)):\s*(\w+)", found.out, re.M))
    assert {int(value, 16) for value in sets.values()} == {0}


@pytest.mark.system
def test_its_terminal_belongs_to_the_account() -> None:
    code = (
        "import os; print(os.fstat(0).st_uid); os.close(os.open(os.ttyname(0), os.O_RDWR)); print('opened')"
    )
    found = run(*python("as nobody; cwd /", code, program=SYSTEM_PYTHON), terminal=TERMINAL)
    assert found.out == "65534\nopened\n"


@pytest.mark.system
def test_its_pipes_belong_to_the_account() -> None:
    rules = "sh ...\n    as nobody\n    cwd /\n"
    found = run(rules, "sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr")
    assert (found.out, found.err) == ("out\n", "err\n")
    assert os.stat("/dev/null").st_uid == 0


@pytest.mark.system
def test_the_directory_is_entered_as_the_account(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    found = attempt(f"true\n    as nobody\n    cwd {tmp_path}\n", "true")
    assert found == NotStarted(127, f"working directory {tmp_path}: permission denied")


@pytest.mark.system
def test_a_fence_holds_another_account_too(tmp_path: Path) -> None:
    found = run(
        "sh ...\n    as nobody\n    cwd /\n    noexec\n    confine net none\n", "sh", "-c", "/bin/true; id"
    )
    assert found.status == 126
    assert found.attempts[0] == "noexec: /bin/true was not started"


@pytest.mark.system
def test_a_fork_bomb_stays_within_its_limit() -> None:
    """security.md, Processes: "Fork bomb"."""
    code = (
        "import os, time\nmine = []\ntry:\n    while True:\n        pid = os.fork()\n"
        "        if not pid: time.sleep(600); os._exit(0)\n        mine.append(pid)\n"
        "except OSError as error: print(len(mine), error.strerror)\nfor pid in mine: os.kill(pid, 9)"
    )
    found = run(*python("as games; cwd /; limit procs=12", code, program=SYSTEM_PYTHON))
    assert found.out == "11 Resource temporarily unavailable\n"


def test_who_is_not_root_becomes_nobody_else() -> None:
    if os.geteuid() == 0:
        return  # the tests of `become` show what root does
    from rexec.policy.disk import Account
    from rexec.process.account import become

    with pytest.raises(PermissionError):
        become(Account("nobody", "/", 65534, 65534, (65534,)))


@pytest.mark.system
def test_a_fence_tells_another_account_nothing_of_what_it_may_not_see(tmp_path: Path) -> None:
    """fence.md: "a name that is not there is answered with "no such file"", as far as the account sees."""
    tmp_path.chmod(0o700)
    (tmp_path / "there").touch(0o755)
    rules = "python3 ...\n    as nobody\n    cwd /\n    noexec\n"
    code = """import os, sys
for path in sys.argv[1:]:
    try: os.execv(path, ["x"])
    except OSError as error: print(error.strerror)
"""
    found = run(rules, "python3", "-c", code, str(tmp_path / "there"), str(tmp_path / "not-there"))
    assert found.out == "No such file or directory\nNo such file or directory\n"
    assert found.attempts == []
