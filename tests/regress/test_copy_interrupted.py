"""Copies that do not come to their end, and those that go on with what was left."""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

import pytest

from rexec.limits import COPY_KEEP
from rexec.protocol import frames as f
from tests.regress.conftest import PATIENCE, Host, wait_until
from tests.regress.copying import Rooms, parts

SLOW = ("-l", "24000")  # Kbit/s: 3 MB/s, four seconds for what follows
DATA = random.Random(7).randbytes(12_000_000)


def bytes_of_the_last_end(host: Host) -> int:
    found = re.search(r" bytes=(\d+)", [line for line in host.lines if " end " in line][-1])
    assert found is not None
    return int(found[1])


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def child_that_has(runner: int, path: Path) -> int:
    """The child of a process that has a file open, or 0."""
    for child in Path(f"/proc/{runner}/task/{runner}/children").read_text().split():
        try:
            if str(path) in map(os.readlink, Path(f"/proc/{child}/fd").iterdir()):
                return int(child)
        except OSError:  # it has ended
            continue
    return 0


def killed_in_the_middle(rooms: Rooms, folder: Path, *words: str | Path, number: int) -> Path:
    """Kill a slow copy once a part worth keeping is there; return the part."""
    before = rooms.host.count(" end ")
    copying = rooms.popen(*SLOW, *words)
    wait_until(lambda: any(size_of(part) > COPY_KEEP for part in parts(folder)), "a part is there")
    copying.send_signal(number)
    copying.communicate(timeout=PATIENCE)
    assert copying.returncode == -number
    rooms.host.wait_for(" end ", count=before + 1)
    (part,) = parts(folder)
    return part


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_put_that_was_killed_leaves_no_half_file_and_is_gone_on_with(rooms: Rooms, number: int) -> None:
    (rooms.here / "a").write_bytes(DATA)
    target = rooms.at(rooms.into / "a")
    part = killed_in_the_middle(rooms, rooms.into, "a", target, number=number)
    assert not (rooms.into / "a").exists()
    size = part.stat().st_size
    assert part.read_bytes() == DATA[:size]
    assert size < len(DATA)
    inode = part.stat().st_ino
    rooms.copy("--resume", "a", target)
    assert (rooms.into / "a").read_bytes() == DATA
    assert (rooms.into / "a").stat().st_ino == inode
    assert parts(rooms.into) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_get_that_was_killed_leaves_no_half_file_and_is_gone_on_with(rooms: Rooms, number: int) -> None:
    (rooms.out / "a").write_bytes(DATA)
    source = rooms.at(rooms.out / "a")
    part = killed_in_the_middle(rooms, rooms.here, source, ".", number=number)
    assert not (rooms.here / "a").exists()
    size = part.stat().st_size
    before = rooms.host.count(" end ")
    rooms.copy("--resume", source, ".")
    assert (rooms.here / "a").read_bytes() == DATA
    assert parts(rooms.here) == []
    rooms.host.wait_for(" end ", count=before + 1)
    assert bytes_of_the_last_end(rooms.host) < len(DATA) - size + 1000  # only the rest was sent


def test_what_is_not_worth_keeping_is_not_kept(rooms: Rooms) -> None:
    before = rooms.host.count(" end ")
    copying = rooms.popen("-", rooms.at(rooms.into / "a"))
    assert copying.stdin is not None
    copying.stdin.write(b"x" * 1000)
    copying.stdin.flush()
    wait_until(lambda: parts(rooms.into), "a part is there")
    copying.send_signal(signal.SIGINT)
    assert copying.wait(PATIENCE) == -signal.SIGINT
    copying.communicate()
    rooms.host.wait_for(" end ", count=before + 1)
    assert os.listdir(rooms.into) == []


def test_a_reader_of_stdout_that_has_enough_ends_the_copy(rooms: Rooms) -> None:
    (rooms.out / "a").write_bytes(DATA)
    copying = rooms.popen(rooms.at(rooms.out / "a"), "-")
    assert copying.stdout is not None
    copying.stdout.read(10)
    copying.stdout.close()
    assert copying.wait(PATIENCE) == -signal.SIGPIPE
    copying.communicate()


def test_the_child_that_copies_is_fenced_in_and_has_nothing_of_the_server(rooms: Rooms) -> None:
    """security.md, Environment and inheritance: the server's own descriptors must not reach a child."""
    (rooms.out / "a").write_bytes(DATA)
    with rooms.popen("-l", "8000", rooms.at(rooms.out / "a"), ".") as copying:
        runner = rooms.host.runner_pid()
        wait_until(lambda: child_that_has(runner, rooms.out / "a"), "the copy is under way")
        child = child_that_has(runner, rooms.out / "a")
        status = Path(f"/proc/{child}/status").read_text()
        assert re.search(r"NoNewPrivs:\s+1", status)
        assert re.search(r"Seccomp:\s+2", status)
        files = {os.readlink(f"/proc/{child}/fd/{name}") for name in os.listdir(f"/proc/{child}/fd")}
        assert {name for name in files if not name.startswith("pipe:")} <= {
            str(rooms.out),
            str(rooms.out / "a"),
        }
        assert len(files) == 5
        copying.kill()


# --- what the server holds a copy to ---------------------------------------------------------------


def limited(make_host: object, options: str) -> Rooms:
    host: Host = make_host("")  # type: ignore[operator]
    folder = host.folder.resolve()
    host.allow_list.write_text(
        f"@get {{path:{folder}/out/** ro}}\n{options}@put {{path:{folder}/in/** rw}}\n{options}"
    )
    return Rooms(host.start())


def test_a_file_that_is_larger_than_the_limit_is_told(make_host: object) -> None:
    rooms = limited(
        make_host,
        "    limit fsize=1M files=32\n    umask 077\n    noexec\n    nice 5\n    parallel 1\n",
    )
    (rooms.here / "large").write_bytes(bytes(2 << 20))
    (rooms.here / "small").write_bytes(bytes(1000))
    done = rooms.copy("large", "small", rooms.at(rooms.into), code=1)
    assert b"large: file too large" in done.stderr
    assert os.listdir(rooms.into) == ["small"]
    assert (rooms.into / "small").stat().st_mode & 0o777 == 0o600


def test_output_and_time_are_limited_as_those_of_a_program(make_host: object) -> None:
    rooms = limited(make_host, "    output 1M kill\n    idle 1s\n")
    (rooms.out / "large").write_bytes(random.Random(8).randbytes(2 << 20))
    done = rooms.copy(rooms.at(rooms.out / "large"), ".", code=255)
    assert b"more output than" in done.stderr or b"output" in done.stderr
    assert not (rooms.here / "large").exists()
    copying = rooms.popen("-", rooms.at(rooms.into / "a"))  # nobody writes
    assert copying.wait(PATIENCE) == 124
    assert copying.stderr is not None
    assert b"timed out" in copying.stderr.read()
    copying.communicate()
    assert os.listdir(rooms.into) == []


@pytest.mark.parametrize(
    "words",
    [
        (b"@get", b"-x"),
        (b"@get", b"-p"),
        (b"@put", b"--resume"),
        (b"@put", b""),
        (b"@get", b"-r", b"/etc"),
    ],
)
def test_an_option_that_a_copy_does_not_have_is_denied(rooms: Rooms, words: tuple[bytes, ...]) -> None:
    """security.md, Around the allow list: the client's parser is never trusted."""
    from rexec.client.streams import MemorySink

    place = rooms.out if words[0] == b"@get" else rooms.into
    session = rooms.host.session()
    exec_ = f.Exec(0, f.Form.COPY, (*words, os.fsencode(place / "x")))
    command = session.start(exec_, None, MemorySink(), MemorySink())
    session.run(lambda: command.is_over)
    result = command.result()
    session.close()
    assert result.state == "denied"
    assert result.error is not None
    assert "has no option" in result.error


def test_a_client_that_sends_rubbish_writes_nothing(rooms: Rooms) -> None:
    from rexec.client.streams import MemorySink, MemorySource

    session = rooms.host.session()
    exec_ = f.Exec(0, f.Form.COPY, (b"@put", os.fsencode(rooms.into / "x")))
    command = session.start(exec_, MemorySource(b"\3\xff\xff\xff\xff" * 100), MemorySink(), MemorySink())
    session.run(lambda: command.is_over)
    assert command.result().exit_code == 255
    session.close()
    assert os.listdir(rooms.into) == []
    assert rooms.copy(rooms.at(rooms.out), "x", code=1)  # and the server lives


def test_a_terminal_shows_how_it_goes(rooms: Rooms) -> None:
    import pexpect

    (rooms.out / "name\x1b[31m").write_bytes(b"x" * 5000)
    words = rooms.words("-r", rooms.at(rooms.out), "got")
    child = pexpect.spawn(words[0], words[1:], env=rooms.host.environment(), cwd=rooms.here, timeout=PATIENCE)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert rb"name\x1b[31m" in child.before
    assert b"\x1b" not in child.before
    assert b"100%" in child.before
    assert b"5000B" in child.before
