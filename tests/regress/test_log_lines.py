"""One event is one line, whatever people put into it, and a decision stands there before its command."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest

from rexec.client.config import Config, Wishes, resolve
from rexec.client.connect import connect
from rexec.client.identity import no_passphrase, signers
from rexec.errors import RexecError
from tests.regress.conftest import LISTENING, RULES, Host, wait_until

NASTY = (
    "new\nrexec-server: allow user=root",
    "\x1b[2J\x1b]0;title\x07",
    "carriage\rreturn",
    "bidi \u202e evil \u2066",
    'quote" and \\ back',
    "\x9bC1 \x7f",
    "line\u2028separator",
)
LINE = re.compile(r"rexec-server: [a-z]+( [a-z_]+=.*)?|rexec-server: (listening on|made|authorised) .*")


def is_clean(text: str) -> bool:
    return text.isascii() and text.isprintable()


def argv_of(line: str) -> list[str]:
    found: list[str] = json.JSONDecoder().raw_decode(line[line.index("argv=") + 5 :])[0]
    return found


def test_an_argv_of_any_kind_is_one_line(make_host: Callable[..., Host]) -> None:
    """security.md, People's terminals: "Control characters, ... bidi marks in ... argv"."""
    host = make_host().start()
    for words in (("printf", "%s", *NASTY), ("nasty", *NASTY), *((word,) for word in NASTY)):
        host.run(*words)
    for number in range(len(NASTY) + 2):
        line = host.wait_for("^rexec-server: (allow|deny) ", count=number + 1)
        assert is_clean(line)
    assert argv_of(host.wait_for("^rexec-server: allow ")) == ["printf", "%s", *NASTY]
    assert all(LINE.fullmatch(line) for line in host.lines), host.lines
    assert host.count("^rexec-server: allow ") == 1


def test_bytes_that_are_no_text_are_one_line(host: Host) -> None:
    """security.md, People's terminals: "one record is one line"."""
    host.run("printf", bytes(range(1, 256)))
    assert is_clean(host.wait_for("^rexec-server: allow "))


def test_names_of_any_kind_are_one_line(host: Host) -> None:
    """security.md, People's terminals: "... in user names"."""
    for name in NASTY:
        done = host.run("true", options=("-l", name))
        assert done.returncode in (2, 255)
        assert is_clean(done.stderr.decode().replace("\n", ""))
    assert all(is_clean(line) for line in host.lines)
    assert all(LINE.fullmatch(line) for line in host.lines), host.lines
    assert host.count("^rexec-server: allow ") == 0


def test_names_in_raw_frames_are_one_line(host: Host) -> None:
    """security.md, Around the allow list: "The client's parser is never trusted: raw frames"."""
    target = resolve(host.address, Wishes(str(host.home)), Config())
    for name in NASTY:
        target.user = name
        with pytest.raises(RexecError):
            connect(target, signers(str(host.home), (), {}, no_passphrase))
    host.wait_for("^rexec-server: refused ", count=len(NASTY))
    assert all(is_clean(line) and LINE.fullmatch(line) for line in host.lines), host.lines


def test_a_denial_is_neutral_on_the_clients_terminal(host: Host) -> None:
    """security.md, People's terminals: "what rexec itself prints is neutralised"."""
    for word in NASTY:
        done = host.run(word, word)
        assert done.returncode == 126
        lines = done.stderr.decode().splitlines()
        assert 1 <= len(lines) <= 2
        assert all(is_clean(line) and line.startswith("rexec: ") for line in lines), lines


def test_a_commands_own_output_is_its_own(host: Host) -> None:
    """security.md, People's terminals: "A command's own output on a terminal is its own"."""
    done = host.run("printf", "%s", NASTY[1])
    assert done.stdout == NASTY[1].encode()


def test_the_decision_stands_in_the_log_before_the_command_starts(make_host: Callable[..., Host]) -> None:
    """cli.md: "`allow|deny user= key= from= rule= argv=[...]` (before the command starts)"."""
    host = make_host()
    log = host.folder / "log"
    with log.open("wb") as file:
        host.process = subprocess.Popen(
            host.server_words(),
            stdin=subprocess.DEVNULL,
            stderr=file,
            env=host.environment(),
            cwd=host.folder,
        )
    wait_until(lambda: LISTENING.search(log.read_text()), "it listens")
    found = LISTENING.search(log.read_text())
    assert found is not None
    host.addresses = [found[1]]
    for number in range(20):
        done = host.run("sh", "-c", f"cat {log}; : {number}")
        allowed = [line for line in done.stdout.decode().splitlines() if " allow " in line]
        assert allowed[-1].startswith("rexec-server: allow ")
        assert argv_of(allowed[-1]) == ["sh", "-c", f"cat {log}; : {number}"]


@pytest.mark.parametrize("options", [(), ("-v",), ("-vv",)])
def test_with_v_it_is_told_who_connects_and_who_is_let_in(
    make_host: Callable[..., Host], options: tuple[str, ...]
) -> None:
    """cli.md: "rexec-server ... [-v]..."."""
    host = make_host("true\n").start(*options)
    assert host.run("true").returncode == 0
    host.wait_for("^rexec-server: left ")
    assert host.count("^rexec-server: connect from=127.0.0.1 ends=") == len(options)
    assert host.count(r"^rexec-server: welcome from=127.0.0.1 user=\S+ ends=") == len(options)


def test_a_line_says_who_from_where_by_which_rule(host: Host) -> None:
    """cli.md: "`allow|deny user= key= from= rule= argv=[...]`", "`end user= rule= status= bytes=`"."""
    host.run("seq", "3")
    rule = f"cmds.txt:{RULES.splitlines().index('seq ...') + 1}"
    line = host.wait_for("^rexec-server: allow ")
    pattern = rf'rexec-server: allow user=\S+ key=SHA256:\S+ from=127\.0\.0\.1 rule={rule} argv=\["seq","3"\]'
    assert re.fullmatch(pattern, line), line
    line = host.wait_for("^rexec-server: end ")
    assert re.fullmatch(rf"^rexec-server: end user=\S+ rule={rule} status=0 bytes=6", line), line


def test_no_secret_is_in_a_log(make_host: Callable[..., Host]) -> None:
    """security.md, People's terminals, logs and files: keys, input, output and variables stay out of it."""
    host = make_host("cat\n    env pass TOKEN\n").start()
    done = host.run("cat", options=("-e", "TOKEN=hidden-variable"), input=b"hidden-input")
    assert done.stdout == b"hidden-input"
    host.wait_for("^rexec-server: end ")
    text = "\n".join(host.lines)
    assert "hidden" not in text
    for name in ("id_ed25519", "host_ed25519"):
        key = (host.home / name).read_text().splitlines()
        assert not any(line in text for line in key)
