"""What somebody with a key can do with raw frames: start what the list permits, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable

import pytest

from tests.rogue import wire
from tests.rogue.client import Rogue
from tests.rogue.conftest import Target, until
from tests.rogue.sayings import denial, shown_out

KIB = 1024


# --- words ---------------------------------------------------------------------------------------


def bent(target: Target) -> dict[str, tuple[tuple[bytes, ...], dict[str, object]]]:
    touch, canary = target.touch
    return {
        "no words": ((), {}),
        "an empty name": ((b"", canary), {}),
        "a NUL in the name": ((b"touch\0", canary), {}),
        "a NUL in an argument": ((touch, canary + b"\0"), {}),
        "a NUL in a variable": ((touch, canary), {"env": [(b"A", b"\0")]}),
        "a NUL in a name": ((touch, canary), {"env": [(b"A\0", b"x")]}),
        "a NUL in the directory": ((touch, canary), {"cwd": b"/\0"}),
        "a directory": ((touch, canary), {"cwd": b"/"}),
        "a directory in bytes": ((touch, canary), {"cwd": b"/tmp/\xff\x1b[2J"}),
        "a variable": ((touch, canary), {"env": [(b"LD_PRELOAD", b"/tmp/x.so")]}),
        "a variable without a name": ((touch, canary), {"env": [(b"", b"x")]}),
        "a variable with an equals sign": ((touch, canary), {"env": [(b"A=B", b"x")]}),
        "a string for a shell": ((touch + b" " + canary + b";true",), {"form": 1}),
        "a string with a variable": ((b"A=b " + touch + b" " + canary,), {"form": 1}),
        "a string with an open quote": ((touch + b" '" + canary,), {"form": 1}),
        "an empty string": ((b"",), {"form": 1}),
        "two strings": ((touch, canary), {"form": 1}),
        "a NUL in a string": ((touch + b" " + canary + b"\0",), {"form": 1}),
        "the form subsystem": ((b"touch",), {"form": 2}),
        "a subsystem of two words": ((touch, canary), {"form": 2}),
        "a subsystem of none": ((), {"form": 2}),
        "a copy of a program": ((touch, canary), {"form": 3}),
        "a copy that no rule allows": ((b"@put", canary), {"form": 3}),
        "a copy of nothing": ((b"@get",), {"form": 3}),
        "a built-in rule as a command": ((b"@put", canary), {}),
        "a built-in rule in a string": ((b"@put " + canary,), {"form": 1}),
        "one word": ((touch + b" " + canary,), {}),
        "one argument more": ((touch, canary, b""), {}),
        "one argument less": ((touch,), {}),
        "a login shell's name": ((b"-touch", canary), {}),
        "another spelling": ((b"/usr/bin/touch", canary), {}),
        "a path with dots": ((b"/usr/bin/../bin/touch", canary), {}),
        "a relative path": ((b"./touch", canary), {}),
        "through /proc": ((b"/proc/self/root/usr/bin/touch", canary), {}),
        "a longer name": ((b"touchx", canary), {}),
        "a shorter name": ((b"touc", canary), {}),
        "a newline": ((b"touch\n", canary), {}),
        "a shell": ((b"touch;true", canary), {}),
        "bytes": ((b"\xff\xfe", canary), {}),
        "a terminal": (
            (touch, canary),
            {"pty": wire.string(b"xterm\x1b]0;x\7") + struct.pack("!HHHH", 80, 24, 0, 0) + wire.string(b"")},
        ),
    }


@pytest.mark.parametrize("name", [
    "no words", "an empty name", "a NUL in the name", "a NUL in an argument", "a NUL in a variable",
    "a NUL in a name", "a NUL in the directory", "a directory", "a directory in bytes", "a variable",
    "a variable without a name", "a variable with an equals sign", "a string for a shell",
    "a string with a variable", "a string with an open quote", "an empty string", "two strings",
    "a NUL in a string", "the form subsystem", "a subsystem of two words", "a subsystem of none",
    "a copy of a program", "a copy that no rule allows", "a copy of nothing", "a built-in rule as a command",
    "a built-in rule in a string", "one word", "one argument more", "one argument less",
    "a login shell's name",
    "another spelling", "a path with dots", "a relative path", "through /proc", "a longer name",
    "a shorter name", "a newline", "a shell", "bytes", "a terminal",
])  # fmt: skip
def test_what_is_bent_is_denied_and_starts_nothing(target: Target, name: str) -> None:
    """security.md, Around the allow list: "The client's parser is never trusted: raw frames with any
    content meet the same decision"; "empty argv and empty argv[0] (CVE-2021-4034); argv[0] `-bash`";
    "NUL in an argument or variable: refused"."""
    words, fields = bent(target)[name]
    before = target.count("rexec-server: deny ")
    with target.friend() as friend:
        message = denial(friend, *words, **fields)
        assert message.decode().isprintable()
        assert target.wait_for("rexec-server: deny ", count=before + 1)
        assert not target.sang()
        assert wire.Exit(friend.run(*target.touch)[1]).status == 0
    assert target.sang()
    assert target.count("rexec-server: deny ") == before + 1


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\x1b[2J", b"\n", b"x" * 5_000, "\u202e".encode()])
def test_an_odd_working_directory_is_named_without_harm(target: Target, name: bytes) -> None:
    """security.md, People's terminals: "Control characters, escape sequences, newlines, bidi marks in
    ... file names"."""
    with target.friend() as friend:
        inside = os.fsencode(target.folder) + b"/" + name
        kind, body, _ = friend.run(b"sh", b"-c", b"pwd", cwd=inside)
        assert (kind, body[0]) == (wire.FAILED, 127)
        message = wire.first_string(body[1:]).decode()
        assert message.startswith("working directory ")
        assert message.isprintable()
        assert len(message) < 1_000
        assert friend.is_alive()


@pytest.mark.parametrize("form", [5, 255])
def test_an_unknown_form_ends_the_connection(target: Target, form: int) -> None:
    with target.friend() as friend:
        friend.exec(*target.touch, form=form)
        assert shown_out(friend) == b"unknown form %d" % form
    assert not target.sang()


def test_more_words_than_there_may_be_end_the_connection(target: Target) -> None:
    """security.md, Protocol: "deep or huge lists: judged before allocation"."""
    with target.friend() as friend:
        friend.exec(*[b""] * 32_769)
        assert shown_out(friend) == b"list is longer than its frame"


def test_as_many_words_as_there_may_be_arrive(target: Target) -> None:
    """security.md, Around the allow list: "100,000 arguments ...: a clear error, the server lives"."""
    with target.friend() as friend:
        kind, body, output = friend.run(b"echo", *[b"x"] * 32_767, stdin=0)
        assert (kind, wire.Exit(body).status) == (wire.EXIT, 0)
        assert output == b" ".join([b"x"] * 32_767) + b"\n"
        long = friend.run(b"echo", b"x" * (128 * KIB))
        assert long[0] == wire.FAILED
        assert (long[1][0], wire.first_string(long[1][1:])) == (126, b"argument list too long")
        assert friend.is_alive()


def test_an_exec_that_is_too_long_ends_the_connection(target: Target) -> None:
    """security.md, Around the allow list: "one of 3 MB: a clear error, the server lives"."""
    with target.friend() as friend:
        friend.try_to_send(wire.frame(wire.EXEC, wire.exec_(1, b"echo", b"x" * 3_000_000), channel=1))
        assert b"Exec is too long" in b"".join(body for _, _, body in friend.rest())


def test_an_id_starts_one_command_and_no_second(target: Target) -> None:
    """protocol.md 10: exactly once."""
    with target.friend() as friend:
        first = wire.frame(wire.EXEC, wire.exec_(9, *target.touch), channel=1)
        friend.send(first)
        assert friend.outcome()[0] == wire.EXIT
        target.canary.unlink()
        friend.send(first)
        kind, body, _ = friend.outcome()
        assert (kind, wire.Exit(body).cause) == (wire.EXIT, 7)  # already ran
        friend.send(wire.frame(wire.EXEC, wire.exec_(9, b"true"), channel=2))
        assert shown_out(friend) == b"Exec 9 came again with other contents"
    assert not target.sang()


def test_a_number_that_was_forgotten_starts_nothing_either(target: Target) -> None:
    """security.md, Protocol: "unbounded tables"; what is forgotten is known to have been used."""
    with target.friend() as friend:
        for first in range(1, 4_200, 100):
            numbers = range(first, first + 100)
            friend.send(
                *(wire.frame(wire.EXEC, wire.exec_(n, b"nothing"), channel=1 + n % 100) for n in numbers)
            )
            for _ in numbers:
                friend.expect_any(wire.DENIED)
        friend.send(wire.frame(wire.EXEC, wire.exec_(1, *target.touch), channel=1))
        assert wire.Exit(friend.outcome()[1]).cause == 7
    assert not target.sang()


# --- channels ------------------------------------------------------------------------------------


def test_a_channel_in_use_is_not_opened_again(target: Target) -> None:
    with target.friend() as friend:
        friend.exec(b"sleep", b"100")
        friend.expect(wire.STARTED, 1)
        friend.exec(*target.touch)
        assert shown_out(friend) == b"Exec in state running"
    assert not target.sang()


@pytest.mark.parametrize("kind", wire.OF_A_CHANNEL)
def test_frames_of_a_channel_have_no_place_on_the_connection(target: Target, kind: int) -> None:
    """security.md, Protocol: "frames ... out of order"; channel 0 is the connection."""
    with target.friend() as friend:
        friend.send(wire.frame(kind, wire.exec_(1, *target.touch) if kind == wire.EXEC else b""))
        assert shown_out(friend).endswith(b" on channel 0")
    assert not target.sang()


@pytest.mark.parametrize("kind", wire.OF_THE_CONNECTION)
def test_frames_of_the_connection_have_no_place_on_a_channel(target: Target, kind: int) -> None:
    with target.friend() as friend:
        friend.send(wire.frame(kind, channel=1))
        assert shown_out(friend).endswith(b" on channel 1")


@pytest.mark.parametrize(
    "kind", [wire.STARTED, wire.DENIED, wire.FAILED, wire.EXIT, wire.STDOUT, wire.STDERR]
)
def test_only_a_server_may_say_what_servers_say(target: Target, kind: int) -> None:
    with target.friend() as friend:
        friend.exec(b"cat")
        friend.expect(wire.STARTED, 1)
        friend.send(wire.frame(kind, b"x", channel=1))
        assert b" in state " in shown_out(friend)


def test_frames_to_a_closed_channel_are_dropped(target: Target) -> None:
    """protocol.md 9: late frames are legal."""
    with target.friend() as friend:
        for channel in (1, 5, 65_535):
            friend.send(
                wire.frame(wire.STDIN, b"x" * 1000, channel=channel),
                wire.frame(wire.EOF, b"\0", channel=channel),
                wire.frame(wire.SIGNAL, wire.string(b"KILL"), channel=channel),
                wire.frame(wire.RESIZE, bytes(8), channel=channel),
                wire.frame(wire.CREDIT, wire.credit(1, 1 << 40), channel=channel),
                wire.frame(wire.STOP, b"\1", channel=channel),
            )
        assert friend.is_alive()


def test_more_commands_at_once_than_there_may_be_end_the_connection(target: Target) -> None:
    with target.friend() as friend:
        asks = [wire.frame(wire.QUERY, wire.query(b"list"), channel=channel) for channel in range(1, 1_026)]
        friend.try_to_send(b"".join(asks))
        friend.try_to_send(wire.frame(wire.GOODBYE, wire.goodbye()))
        assert friend.is_closed()


def test_unknown_frames_are_refused_but_for_those_that_may_be_ignored(target: Target) -> None:
    """protocol.md 2: flag 0x80 = may be ignored if the type is unknown."""
    with target.friend() as friend:
        friend.send(wire.frame(99, b"x" * 1000, channel=3, flags=0x80), wire.frame(10, flags=0x80))
        assert friend.is_alive()
        friend.send(wire.frame(99, channel=3))
        assert shown_out(friend) == b"unknown frame type 99"
    with target.friend() as friend:
        friend.send(wire.frame(99, b"", channel=3, flags=0x80, length=0xFFFF_FFFF))
        assert b"too long" in shown_out(friend)


@pytest.mark.parametrize("kind", [*wire.OF_THE_CONNECTION, *wire.OF_A_CHANNEL])
def test_leftovers_or_too_little_end_the_connection(target: Target, kind: int) -> None:
    if kind in (wire.STDIN, wire.STDOUT, wire.STDERR):
        return  # data is as long as it is
    with target.friend() as friend:
        friend.send(wire.frame(kind, b"", channel=1 if kind >= wire.EXEC else 0))
        assert shown_out(friend)


# --- questions -----------------------------------------------------------------------------------


def test_a_question_starts_nothing(target: Target) -> None:
    with target.friend() as friend:
        friend.send(wire.frame(wire.QUERY, wire.query(b"explain", *target.touch), channel=1))
        kind, _, output = friend.outcome()
        assert kind == wire.EXIT
        assert b"cmds.txt:9" in output
        for subject in (b"", b"passwd", b"\x1b[2J", b"x" * 60_000):
            friend.send(wire.frame(wire.QUERY, wire.query(subject, b"\xff\0"), channel=1))
            assert friend.outcome()[0] == wire.DENIED
        for words in ((), (b"",), (b"\xff\xfe\0",), (b"x" * 100_000,), (b"",) * 32_768):
            friend.send(wire.frame(wire.QUERY, wire.query(b"explain", *words), channel=1))
            assert friend.outcome()[0] == wire.EXIT
        assert friend.is_alive()
    assert not target.sang()


def test_the_answer_to_somebody_who_reads_none_of_it_ends_with_a_stop(target: Target) -> None:
    with target.friend() as friend:
        friend.send(
            wire.frame(wire.QUERY, wire.query(b"list"), channel=1),
            wire.frame(wire.STOP, b"\1", channel=1),
            wire.frame(wire.QUERY, wire.query(b"list"), channel=2),
        )
        friend.outcome(2)
        assert friend.is_alive()


# --- after the end -------------------------------------------------------------------------------


def test_nothing_that_comes_after_a_goodbye_is_looked_at(target: Target) -> None:
    """security.md, Protocol: "frames ... after the end"."""
    with target.friend() as friend:
        touch = wire.frame(wire.EXEC, wire.exec_(1, *target.touch), channel=1)
        friend.send(wire.frame(wire.GOODBYE, wire.goodbye()) + touch)
        assert friend.is_closed()
    with target.friend() as friend:
        friend.send(wire.frame(200) + touch)
        assert friend.is_closed()
    assert target.works()
    assert not target.sang()


def ways_to_leave() -> dict[str, Callable[[Rogue], None]]:
    def reset(friend: Rogue) -> None:
        friend.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        friend.socket.close()

    return {
        "goodbye": lambda friend: friend.send(wire.frame(wire.GOODBYE, wire.goodbye())),
        "the end": lambda friend: friend.socket.close(),
        "reset": reset,
        "nonsense": lambda friend: friend.send(b"\xff" * 100),
        "half a frame": lambda friend: friend.send(wire.frame(wire.STDIN, b"x", channel=1, length=9)),
    }


@pytest.mark.parametrize("way", ways_to_leave())
@pytest.mark.parametrize("stage", ["idle", "asked", "running", "reading", "writing", "questioned"])
def test_a_client_that_leaves_at_any_stage_leaves_nothing(target: Target, stage: str, way: str) -> None:
    """security.md, Processes: "zombies, descriptors left over"; the hall forgets who left."""
    ends = target.count("rexec-server: end ") + target.count("rexec-server: deny ")
    left = target.count("rexec-server: left ")
    with target.friend() as friend:
        if stage == "questioned":
            friend.send(wire.frame(wire.QUERY, wire.query(b"list"), channel=1))
        elif stage != "idle":
            friend.exec(*{"running": (b"sleep", b"100"), "writing": (b"sleep", b"100")}.get(stage, (b"cat",)))
            if stage != "asked":
                friend.expect(wire.STARTED, 1)
        if stage in ("reading", "writing"):
            friend.send(wire.frame(wire.STDIN, bytes(200 * KIB), channel=1))
        ways_to_leave()[way](friend)
    target.wait_for("rexec-server: left ", count=left + 1)
    if stage not in ("idle", "questioned", "asked"):
        target.wait_for("rexec-server: (end|deny) ", count=ends + 1)
    assert until(lambda: target.descriptors() <= target.at_rest and not _children(target))


def _children(target: Target) -> str:
    pid = target.runner_pid()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read()


# --- the end of the server -----------------------------------------------------------------------


@pytest.mark.timeout(40)  # before the keepalive would help
@pytest.mark.parametrize("what", ["a command", "a question"])
def test_who_reads_nothing_does_not_keep_the_server_from_stopping(
    make_target: Callable[..., Target], what: str
) -> None:
    """cli.md: "`SIGTERM` stops accepting, lets running commands finish for `--drain 10s`, then ends
    them"."""
    target = make_target("--drain", "0.1s")
    if what == "a question":
        target.allow_list.write_text("".join(f"true {'x' * 900} {line}\n" for line in range(1_000)))
        target.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
        target.wait_for("rexec-server: reload result=done")
    with target.friend() as friend:
        if what == "a question":
            friend.send(wire.frame(wire.QUERY, wire.query(b"list"), channel=1))
            friend.expect(wire.STDOUT, 1)
        else:
            friend.exec(b"sh", b"-c", b"cat /dev/zero")
            friend.expect(wire.STDOUT, 1)
        assert target.stop() == 0
