"""What a rule records: asciicast files of its commands, with and without a terminal."""

from __future__ import annotations

import hashlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.regress.conftest import CLIENT, PATIENCE, Host
from tests.regress.test_audit_log import AUDIT, audit, last

RULES = """\
sh ...
    record out
cat
    record io
bash --norc
    record io
python3 ...
    record io
true
"""


@pytest.fixture
def recorded(make_host: Callable[..., Host]) -> Host:
    return make_host(RULES).start()


def recording(host: Host) -> tuple[dict[str, object], list[list[object]]]:
    """Return header and events of the last recording, once it is whole."""
    host.wait_for("rexec-server: end ")
    end = last(host, "end")
    data = (host.home / "audit" / "recordings" / str(end["recording"])).read_bytes()
    assert end["recording_bytes"] == len(data)
    assert end["recording_sha256"] == hashlib.sha256(data).hexdigest()
    assert end["recording_whole"] is True
    header, *events = [json.loads(line) for line in data.splitlines()]
    return header, events


def text(events: list[list[object]], kind: str) -> str:
    return "".join(str(event[2]) for event in events if event[1] == kind)


def test_output_is_recorded_without_a_terminal(recorded: Host) -> None:
    done = recorded.run("sh", "-c", "echo out; echo err >&2; cat", input=b"typed")
    assert done.returncode == 0
    header, events = recording(recorded)
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    assert header["title"] == "sh -c 'echo out; echo err >&2; cat'"
    assert sorted(text(events, "o").replace("\r\n", "\n").split("\n")) == ["err", "out", "typed"] or set(
        text(events, "o").split()
    ) <= {"out", "err", "typed", "typederr", "typedout"}
    assert text(events, "i") == ""
    assert last(recorded, "allow")["recording"] == last(recorded, "end")["recording"]


def test_input_is_recorded_where_the_rule_says_so(recorded: Host) -> None:
    assert recorded.run("cat", input=b"one\ntwo\n").stdout == b"one\ntwo\n"
    _, events = recording(recorded)
    assert (text(events, "i"), text(events, "o")) == ("one\ntwo\n", "one\r\ntwo\r\n")


def test_a_rule_without_record_records_nothing(recorded: Host) -> None:
    recorded.run("true")
    recorded.wait_for("rexec-server: end ")
    assert "recording" not in last(recorded, "end")
    assert not (recorded.home / "audit" / "recordings").exists()


def test_a_terminal_is_recorded_and_what_is_typed_blindly_is_not(recorded: Host) -> None:
    """A passphrase is read without echo (getpass(3))."""
    script = "import getpass; input('name? '); getpass.getpass('secret? '); input('more? ')"
    child = pexpect.spawn(
        CLIENT,
        ["-t", recorded.address, "python3", "-c", script],
        env=recorded.environment(TERM="xterm"),  # type: ignore[arg-type]
        timeout=PATIENCE,
        dimensions=(30, 100),
    )
    child.expect("name. ")
    child.sendline("alice")
    child.expect("secret. ")
    child.sendline("open-sesame")
    child.expect("more. ")
    child.sendline("yes")
    child.expect(pexpect.EOF)
    child.close()
    header, events = recording(recorded)
    assert (header["width"], header["height"], header["env"]) == (100, 30, {"TERM": "xterm"})
    assert text(events, "i") == "alice\nyes\n"
    assert "secret? " in text(events, "o")
    assert "open-sesame" not in json.dumps(events)
    times = [float(str(event[0])) for event in events]
    assert times == sorted(times)


def test_no_client_can_switch_it_off(recorded: Host) -> None:
    """security.md, Around the allow list: "Asking for a terminal ... instead, to get around ...
    recording"."""
    for options in ((), ("-t",), ("-T",), ("-n",), ("-e", "REXEC_RECORD=no"), ("--timeout", "50s")):
        done = recorded.run("sh", "-c", "echo seen", options=options)
        if done.returncode == 0:
            recorded.wait_for("rexec-server: end ", count=recorded.count("rexec-server: allow "))
            assert "seen" in text(recording(recorded)[1], "o")
        else:
            assert done.returncode == 126  # a variable that no rule passes


def test_play_prints_the_same_again(recorded: Host) -> None:
    recorded.run("sh", "-c", "printf 'a\\033]0;title\\007\\033[31mred\\033[0m\\n'; printf '\\033[6nb\\n'")
    recording(recorded)
    name = str(recorded.home / "audit" / "recordings" / str(last(recorded, "end")["recording"]))
    assert audit(recorded, "play", "--speed", "1000", name).stdout == "a\x1b[31mred\x1b[0m\nb\n"
    raw = audit(recorded, "play", "--speed", "1000", "--max-idle", "1s", "--raw", name).stdout
    assert raw == "a\x1b]0;title\x07\x1b[31mred\x1b[0m\n\x1b[6nb\n"
    found = audit(recorded, "play", "--search", "ared", name)
    assert (found.returncode, found.stdout.rstrip().endswith(": ared b") or "ared" in found.stdout) == (
        0,
        True,
    )
    assert audit(recorded, "play", "--search", "blue", name).returncode == 1
    assert audit(recorded, "play", "--speed", "0", name).returncode == 2


def test_a_recording_that_was_changed_is_found(recorded: Host) -> None:
    recorded.run("sh", "-c", "echo secret")
    recording(recorded)
    path = recorded.home / "audit" / "recordings" / str(last(recorded, "end")["recording"])
    assert audit(recorded, "verify").returncode == 0
    path.write_bytes(path.read_bytes().replace(b"secret", b"public"))
    done = audit(recorded, "verify")
    assert done.returncode == 1
    assert done.stdout == f"audit.jsonl:4: the recording {path.name} was changed\n"
    path.unlink()
    done = audit(recorded, "verify")
    assert (done.returncode, f"note: audit.jsonl:4: {path.name}: no such file" in done.stdout) == (0, True)


def test_a_recording_is_for_its_owner_alone(recorded: Host) -> None:
    recorded.run("sh", "-c", "echo x")
    recording(recorded)
    folder = recorded.home / "audit" / "recordings"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


NO_PYC = {"PYTHONDONTWRITEBYTECODE": "1"}  # half a compiled module would be left for everybody


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


def test_a_recording_that_does_not_fit_ends_a_command_where_it_is_required(
    make_host: Callable[..., Host],
) -> None:
    host = make_host(RULES).start("--audit", "required", preexec_fn=small_files, env=NO_PYC)
    done = host.run("sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    assert done.returncode == 255
    assert b"its recording cannot be written (file too large)" in done.stderr
    host.wait_for("rexec-server: end ")
    assert last(host, "end")["recording_whole"] is False


def test_a_recording_that_does_not_fit_is_said_and_the_command_goes_on(
    make_host: Callable[..., Host],
) -> None:
    host = make_host(RULES).start(preexec_fn=small_files, env=NO_PYC)
    done = host.run("sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo xxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done")
    assert (done.returncode, len(done.stdout)) == (0, 42_000)
    host.wait_for("audit result=lost why=.*recording")
    host.wait_for("rexec-server: end ")
    end = last(host, "end")
    assert end["recording_whole"] is False
    path = host.home / "audit" / "recordings" / str(end["recording"])
    assert path.read_bytes().endswith(b"\n")
    assert path.stat().st_size <= 20_000


@pytest.mark.system
def test_asciinema_plays_a_recording(recorded: Host, tmp_path: Path) -> None:
    """The format is asciinema's: its own player takes the file."""
    recorded.run("sh", "-c", "echo seen")
    recording(recorded)
    name = str(recorded.home / "audit" / "recordings" / str(last(recorded, "end")["recording"]))
    home = {**os.environ, "HOME": str(tmp_path)}
    child = pexpect.spawn("asciinema", ["play", name], env=home, timeout=PATIENCE)  # type: ignore[arg-type]
    child.expect("seen\r\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_play_gives_the_terminal_back(recorded: Host) -> None:
    """security.md, People's terminals: "A terminal is always restored"."""
    recorded.run("sh", "-c", "printf '\\033[?1049h\\033[?25lin'")
    recording(recorded)
    name = str(recorded.home / "audit" / "recordings" / str(last(recorded, "end")["recording"]))
    child = pexpect.spawn(AUDIT, ["play", name], timeout=PATIENCE)
    child.expect_exact("\x1b[?25lin")
    child.expect_exact("\x1b[?1049l\x1b[0m")
    child.expect_exact("\x1b[?25h")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_play_is_ended_by_an_interrupt_and_gives_the_terminal_back(recorded: Host) -> None:
    recorded.run("sh", "-c", "printf '\\033[?1049hin'")
    header, _ = recording(recorded)
    path = recorded.folder / "slow.cast"
    events = [[0.0, "o", "\x1b[?1049hin"], [1000.0, "o", "late"]]
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *events)))
    child = pexpect.spawn(AUDIT, ["play", str(path)], timeout=PATIENCE)
    child.expect_exact("in")
    child.sendintr()
    child.expect_exact("\x1b[?1049l\x1b[0m")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
