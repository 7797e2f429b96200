"""The filter of system calls, instruction by instruction, and against other sets of calls."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from rexec.process import abi, filecalls, seccomp
from tests.process.launching import run

NATIVE = abi.native()
ALL = {"execs": True, "only_listed": True, "sockets": True}
NONE = dict.fromkeys(ALL, False)


def answer(machine: abi.Abi, options: dict[str, bool], arch: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does (linux/filter.h): what it returns for one call."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *given)
    program = seccomp._filter(
        machine, options["execs"], options["only_listed"], options["sockets"], options.get("files", False)
    )
    at = word = 0
    while True:
        code, when_true, when_false, value = program[at]
        at += 1
        if code == seccomp._RETURN:
            return value
        if code == seccomp._LOAD:
            (word,) = struct.unpack_from("=I", data, value)
        elif code == seccomp._AND:
            word &= value
        else:
            is_so = word == value if code == seccomp._EQUAL else word >= value
            at += when_true if is_so else when_false


ALLOW, ASK = seccomp._ALLOW, seccomp._NOTIFY


def refuse(number: int) -> int:
    return seccomp._ERRNO | number


@pytest.mark.parametrize("machine", abi._ABIS.values(), ids=abi._ABIS)
@pytest.mark.parametrize("options", [NONE, ALL, NONE | {"execs": True}, NONE | {"sockets": True}])
def test_every_number_of_every_set_is_answered(machine: abi.Abi, options: dict[str, bool]) -> None:
    """A number that no line of the filter speaks of is allowed in the native set and nowhere else."""
    special = {machine.execve, machine.execveat, machine.socket, machine.socketpair}
    special |= {machine.memfd_create, machine.io_uring_setup, machine.prlimit64}
    for number in range(600):
        if number not in special:
            assert answer(machine, options, machine.arch, number) == ALLOW
        for arch in (machine.foreign.arch, 0, 0xC00000F3):
            starts = options["execs"] and arch == machine.foreign.arch and number in machine.foreign.execs
            assert answer(machine, options, arch, number) == (ASK if starts else refuse(errno.ENOSYS))


@pytest.mark.parametrize("machine", abi._ABIS.values(), ids=abi._ABIS)
def test_starts_are_asked_about(machine: abi.Abi) -> None:
    for number in (machine.execve, machine.execveat):
        assert answer(machine, NONE | {"execs": True}, machine.arch, number) == ASK
        assert answer(machine, NONE | {"sockets": True}, machine.arch, number) == ALLOW


def test_x32_has_no_calls_but_is_heard_of() -> None:
    machine = abi._ABIS["x86_64"]
    for number in (520, 545):
        assert answer(machine, ALL, machine.arch, 0x40000000 | number) == ASK
    for number in (0, 59, 322, 41, 0x3FFFFFFF):
        assert answer(machine, ALL, machine.arch, 0x40000000 | number) == refuse(errno.ENOSYS)
    assert answer(machine, ALL, machine.arch, -1) == refuse(errno.ENOSYS)


@pytest.mark.parametrize("machine", abi._ABIS.values(), ids=abi._ABIS)
def test_sockets_are_judged_by_family_and_type(machine: abi.Abi) -> None:
    def asked(number: int, *arguments: int) -> int:
        return answer(machine, NONE | {"sockets": True}, machine.arch, number, *arguments)

    for family in (0, 2, 10, 16, 17, 40):
        assert asked(machine.socket, family, 1) == ASK
    assert asked(machine.socket, 1, 1) == refuse(errno.EACCES)
    assert asked(machine.socket, 1 << 32 | 2, 1) == ASK  # the kernel looks at the low half too
    for kind, found in ((1, ALLOW), (5, ALLOW), (1 | 0o2000000, ALLOW), (2, None), (3, None), (0, None)):
        assert asked(machine.socketpair, 1, kind) == (found or refuse(errno.EACCES))
    assert asked(machine.io_uring_setup) == refuse(errno.ENOSYS)


@pytest.mark.parametrize("machine", abi._ABIS.values(), ids=abi._ABIS)
def test_files_in_memory_must_be_sealed_where_programs_are_listed(machine: abi.Abi) -> None:
    for flags, found in ((0, refuse(errno.ENOSYS)), (1, refuse(errno.ENOSYS)), (8, ALLOW), (9, ALLOW)):
        assert answer(machine, ALL, machine.arch, machine.memfd_create, 0, flags) == found
        assert answer(machine, NONE | {"execs": True}, machine.arch, machine.memfd_create, 0, flags) == ALLOW


@pytest.mark.parametrize("machine", abi._ABIS.values(), ids=abi._ABIS)
def test_names_of_files_are_asked_about(machine: abi.Abi) -> None:
    """And a ring, or a root of one's own, would make them something that nobody can look at."""
    which = 0 if machine.alias_bit else 1
    files = NONE | {"files": True}
    special = {call.numbers[which] for call in filecalls.TABLE.values() if call.numbers[which]}
    assert len(special) == (22 if machine.alias_bit else 13)
    (root,) = (numbers[which] for numbers in filecalls.ROOTS.values())
    for number in range(600):
        if number in special:
            assert answer(machine, files, machine.arch, number) == ASK
            if number not in (machine.execve, machine.execveat):
                assert answer(machine, ALL, machine.arch, number) == ALLOW
        elif number not in (root, machine.io_uring_setup, machine.prlimit64):
            assert answer(machine, files, machine.arch, number) == ALLOW
        assert answer(machine, files, machine.foreign.arch, number) == refuse(errno.ENOSYS)
    assert answer(machine, files, machine.arch, root) == refuse(errno.EPERM)
    assert answer(machine, files, machine.arch, machine.io_uring_setup) == refuse(errno.ENOSYS)


@pytest.mark.parametrize("machine", abi._ABIS.values(), ids=abi._ABIS)
@pytest.mark.parametrize("options", [NONE, ALL])
def test_limits_are_ones_own(machine: abi.Abi, options: dict[str, bool]) -> None:
    """security.md, Processes: a limit of CPU time, lowered from outside, ends the server."""
    for pid, found in ((0, ALLOW), (1, refuse(errno.EPERM)), (-1, refuse(errno.EPERM)), (1 << 32, ALLOW)):
        given = pid & 0xFFFFFFFFFFFFFFFF
        assert answer(machine, options, machine.arch, machine.prlimit64, given, 0) == found


def test_numbers_are_those_of_this_machine() -> None:
    """The table against what the C library of this machine calls by name."""
    if NATIVE is None or shutil.which("gcc") is None:
        return  # another machine has no fence; without headers there is nothing to compare with
    names = [name for name in NATIVE._fields if name not in ("arch", "foreign", "alias_bit", "alias_execs")]
    source = "#include <sys/syscall.h>\n" + "".join(f"__NR_{name} {name}\n" for name in names)
    done = subprocess.run(["gcc", "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True)
    found = dict(line.split()[::-1] for line in done.stdout.splitlines() if line.strip())
    assert {name: int(found[name]) for name in names} == {name: getattr(NATIVE, name) for name in names}


OTHER_SETS = r"""
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(void) {
    long found;
    char *low = mmap((void *)0x10000, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    strcpy(low, "/bin/true");
    __asm__ volatile("int $0x80" : "=a"(found) : "a"(11), "b"(low), "c"(0), "d"(0) : "memory");
    printf("%ld\n", found);
    __asm__ volatile("int $0x80" : "=a"(found) : "a"(358), "b"(-100), "c"(low), "d"(0), "S"(0), "D"(0)
                     : "memory");
    printf("%ld\n", found);
    __asm__ volatile("int $0x80" : "=a"(found) : "a"(20) : "memory");
    printf("%ld\n", found);
    register long ten __asm__("r10") = 0;
    __asm__ volatile("syscall" : "=a"(found) : "a"(0x40000000 | 520), "D"(low), "S"(0), "d"(0), "r"(ten)
                     : "rcx", "r11", "memory");
    printf("%ld\n", found);
    __asm__ volatile("syscall" : "=a"(found) : "a"(0x40000000 | 39) : "rcx", "r11", "memory");
    printf("%ld\n", found);
    return 0;
}
"""


@pytest.mark.system
def test_other_sets_of_calls_start_nothing(tmp_path: Path) -> None:
    """The numbers of 32-bit programs and of x32 mean other calls: none of them is there."""
    if os.uname().machine != "x86_64":
        return  # the sets that this program uses are those of x86_64
    source, program = tmp_path / "calls.c", tmp_path / "calls"
    source.write_text(OTHER_SETS)
    subprocess.run(["gcc", "-O0", "-o", program, source], check=True)
    found = run(f"{program}\n    noexec\n", str(program))
    assert found.out == f"-{errno.EPERM}\n-{errno.EPERM}\n-{errno.ENOSYS}\n-{errno.EPERM}\n-{errno.ENOSYS}\n"
    assert found.escapes[0].path == "/bin/true"
    assert len(found.escapes) == 3


def test_it_is_available_where_the_kernel_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seccomp.is_available()
    monkeypatch.setattr(seccomp, "_release", lambda: (5, 4))
    assert not seccomp.is_available()
    monkeypatch.setattr(seccomp, "_release", lambda: (6, 1))
    monkeypatch.setattr(seccomp, "SIZES", (96, 24, 64))
    assert not seccomp.is_available()
    monkeypatch.setattr(seccomp, "native", lambda: None)
    assert not seccomp.is_available()


def test_a_kernel_that_does_not_know_the_question_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_NOTIFY", 0x12340000)
    assert not seccomp.is_available()


def test_the_release_is_read_from_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Uname:
        release = "5.15-rc1.custom"

    monkeypatch.setattr(os, "uname", Uname)
    assert seccomp._release() == (5, 151)
    Uname.release = "6.18.44-fc"
    assert seccomp._release() == (6, 18)
