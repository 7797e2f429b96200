"""Arguments reach the program as exactly that argv, byte for byte, or not at all."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from rexec.client.streams import MemorySink
from rexec.limits import KIB, MIB, WORDS_MAX
from rexec.protocol import frames as f
from tests.regress.conftest import Host

SHOW = "import os, sys; print(*(os.fsencode(word).hex() or '-' for word in sys.argv[1:]), sep='\\n')"
ALL_BYTES = bytes(range(1, 256))

TORTURE: dict[str, list[bytes]] = {
    "spaces": [b" ", b"a b", b"  lead", b"trail  ", b"\t"],
    "quotes": [b"'", b'"', b"''", b"\"a\" 'b'", b"\\", b'\\"', b"\\\\'"],
    "newlines": [b"\n", b"a\nb", b"\r\n", b"end\n", b"\n\n"],
    "empty": [b"", b"", b"x", b""],
    "every byte": [bytes([number]) for number in range(1, 256)],
    "all bytes in one": [ALL_BYTES, ALL_BYTES[::-1]],
    "globs": [b"*", b"?", b"[a-z]*", b"/etc/*", b"~", b"~root", b"{a,b}"],
    "expansions": [b"$HOME", b"${IFS}", b"$()", b"$(id)", b"`id`", b"$((1+1))", b"%s", b"!!", b"!1"],
    "operators": [b";", b"|", b"&", b"<", b">", b"&&", b";;", b"a;b|c&d<e>f", b"#", b"# no comment"],
    "dashes": [b"-", b"--", b"---", b"-e", b"--help", b"--version", b"-oProxyCommand=x", b"--json"],
    "text": ["é€𝄞".encode(), "\u202eabc".encode(), b"\xff\xfe", b"\xc3", b"\x1b[31m"],
    "names": [b"A=B", b"=", b"x=", b"=x", b"user@host", b"[::1]:22", b"unix:/x"],
}


def received(host: Host, words: list[bytes]) -> list[bytes]:
    """Return what the remote program found in its argv."""
    done = host.run("python3", "-c", SHOW, *words)
    assert (done.returncode, done.stderr) == (0, b"")
    return [b"" if line == b"-" else bytes.fromhex(line.decode()) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("words", TORTURE.values(), ids=TORTURE.keys())
def test_what_was_typed_arrives(shared_host: Host, words: list[bytes]) -> None:
    """security.md, Around the allow list: "bytes are data, they arrive unchanged"."""
    assert received(shared_host, words) == words


def test_2000_arguments_arrive(shared_host: Host) -> None:
    """Promise: "2,000 arguments"."""
    words = [b"argument %d" % number for number in range(2000)]
    assert received(shared_host, words) == words


def test_an_argument_of_100_kib_arrives(shared_host: Host) -> None:
    """Promise: "one of 100 KiB"."""
    words = [ALL_BYTES * (100 * KIB // 255 + 1), b"behind it"]
    assert received(shared_host, words) == words


def test_options_end_at_the_host(shared_host: Host) -> None:
    """cli.md: "Options end at the host: all that follows is the command's, dashes and `--help` included"."""
    done = shared_host.run("printf", "%s|", "--help", "-n", "--json", "--", "-p", "1")
    assert done.stdout == b"--help|-n|--json|--|-p|1|"


def test_one_double_dash_directly_after_the_host_is_dropped(shared_host: Host) -> None:
    """cli.md: "one `--` directly after the host is dropped"."""
    assert shared_host.run("--", "printf", "%s|", "--", "x").stdout == b"--|x|"
    done = shared_host.run("--", "--", "true")
    assert done.returncode == 126  # the second one is the command's name, which no rule has


def test_a_string_that_the_kernel_refuses_is_126_and_the_connection_lives(shared_host: Host) -> None:
    """protocol.md 2: "what the kernel refuses, such as one string of 128 KiB, is a result, exit 126"."""
    session = shared_host.session()
    for size, code in ((128 * KIB, 126), (MIB, 126), (10, 0)):
        words = (b"python3", b"-c", b"pass", b"x" * size)
        command = session.start(f.Exec(0, f.Form.ARGV, words), None, MemorySink(), MemorySink())
        session.run(lambda: command.is_over)  # noqa: B023
        result = command.result()
        assert result.exit_code == code
        assert result.error == ("argument list too long" if code else None)
    session.close()


def test_too_many_bytes_in_all_are_126_and_the_connection_lives(shared_host: Host) -> None:
    """protocol.md 2: "what the kernel refuses ... is a result, exit 126 `argument list too long`"."""
    session = shared_host.session()
    for words in ((b"true", *(b"x" * 100_000,) * 20), (b"true", *(b"",) * (WORDS_MAX - 1)), (b"true",)):
        command = session.start(f.Exec(0, f.Form.ARGV, words), None, MemorySink(), MemorySink())
        session.run(lambda: command.is_over)  # noqa: B023
        assert command.result().exit_code in (0, 126)
        if command.result().exit_code:
            assert command.result().error == "argument list too long"
    assert command.result().exit_code == 0
    session.close()


BEYOND = {
    "one of 3 MB": "['x' * 3_000_000]",
    "100,000 arguments": "['x'] * 100_000",
    "3 MB in all": "['x' * 1000] * 3000",
}


@pytest.mark.parametrize("words", BEYOND.values(), ids=BEYOND.keys())
def test_what_no_frame_holds_is_a_clear_error_here(shared_host: Host, words: str) -> None:
    """security.md, Around the allow list: "100,000 arguments, one of 3 MB: a clear error"."""
    program = (
        "import sys; from rexec.cli.main import main; "
        f"sys.argv = ['rexec', sys.argv[1], 'true', *{words}]; main()"
    )  # execve(2) takes no such argv, but a caller of main() may have one
    before = shared_host.count("rexec-server: (allow|deny) ")
    done = subprocess.run(
        [sys.executable, "-c", program, shared_host.address],
        env=shared_host.environment(),
        capture_output=True,
        input=b"",
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"rexec: argument list too long: ")
    assert done.stderr.count(b"\n") == 1
    assert shared_host.count("rexec-server: (allow|deny) ") == before
    assert shared_host.run("true").returncode == 0


def test_what_no_frame_holds_is_refused_by_the_server_too(shared_host: Host) -> None:
    """security.md, Around the allow list: "a clear error, the server lives": raw frames meet the same."""
    session = shared_host.session()
    header = (f.Exec.code, 0, 1, 3 * MIB)
    session.wire.socket.setblocking(True)
    session.wire.socket.sendall(struct.pack("!BBHI", *header) + bytes(100))
    while (data := session.wire.socket.recv(4096)) and b"too long" not in data:
        pass
    session.wire.close()
    assert shared_host.run("true").returncode == 0
