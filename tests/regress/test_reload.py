"""SIGHUP takes a good list and keeps the old one on any error; keys are looked at by themselves."""

from __future__ import annotations

import os
import signal

import pytest

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host


def reload(host: Host, *, count: int = 1) -> str:
    assert host.process is not None
    host.process.send_signal(signal.SIGHUP)
    return host.wait_for("rexec-server: reload ", count=count)


def test_a_good_list_takes_effect(host: Host) -> None:
    """cli.md: "`SIGHUP` re-reads allow list, keys and configuration at once"."""
    assert host.run("uname").returncode == 126
    host.allow_list.write_text("uname\n")
    assert host.run("uname").returncode == 126  # not before it is told
    assert "result=done" in reload(host)
    assert host.run("uname").returncode == 0
    assert host.run("true").returncode == 126


def spoil_missing(host: Host) -> None:
    host.allow_list.unlink()


def spoil_fifo(host: Host) -> None:
    host.allow_list.unlink()
    os.mkfifo(host.allow_list, 0o600)


def spoil_text(host: Host) -> None:
    host.allow_list.write_text("uname\ncat /var/log/*\n")


def spoil_size(host: Host) -> None:
    host.allow_list.write_text("# padding\n" * 200_000)


def spoil_mode(host: Host) -> None:
    host.allow_list.chmod(0o666)


def spoil_bytes(host: Host) -> None:
    host.allow_list.write_bytes(b"uname\n\xff\xfe\n")


SPOILERS = (spoil_missing, spoil_fifo, spoil_text, spoil_size, spoil_mode, spoil_bytes)


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_a_bad_list_keeps_the_old_one_and_says_why(host: Host, spoil) -> None:  # type: ignore[no-untyped-def]
    """security.md, Processes: "a bad, missing, huge or FIFO policy file: the old one stays"."""
    spoil(host)
    line = reload(host)
    assert "result=kept" in line
    assert "cmds.txt" in line
    assert host.run("true").returncode == 0
    assert host.run("uname").returncode == 126


def test_a_storm_of_reloads_changes_nothing(host: Host) -> None:
    """security.md, Processes: "SIGHUP storm"."""
    assert host.process is not None
    for _ in range(200):
        host.process.send_signal(signal.SIGHUP)
    assert host.run("seq", "3").stdout == b"1\n2\n3\n"
    reload(host, count=host.count("rexec-server: reload ") + 1)
    assert host.run("true").returncode == 0


def test_a_reload_does_not_touch_what_runs(host: Host) -> None:
    """security.md, Around the allow list: "Policy reload ...: one generation decides and runs"."""
    with host.popen("sh", "-c", "echo ready; read line; echo $line") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        host.allow_list.write_text("uname\n")
        reload(host)
        out, _ = client.communicate(b"still here\n")
    assert (client.returncode, out) == (0, b"still here\n")


def test_a_new_key_is_taken_at_once(host: Host) -> None:
    """Promise: "read again when it changed, at each authentication and each command"."""
    guest = host.guest(authorised=False)
    options = ("--accept-new",)
    assert host.object("true", env=guest, options=options)["state"] == "unauthenticated"
    guest = host.guest("second")
    assert host.run("true", env=guest, options=options).returncode == 0


def test_a_revoked_key_is_denied_at_the_next_command(host: Host) -> None:
    """security.md: "Revoked or expired keys with a session still open: judged again at every command"."""
    session = host.session()

    def state() -> str:
        exec_ = f.Exec(0, f.Form.ARGV, (b"true",))
        command = session.start(exec_, None, MemorySink(), MemorySink())
        session.run(lambda: command.is_over)
        return command.result().state

    keys = host.home / "authorized_keys"
    line = keys.read_text()
    assert state() == "ok"
    keys.write_text("")
    assert state() == "denied"
    assert 'why="the key is no longer authorised"' in host.wait_for("rexec-server: deny ")
    keys.write_text(line)
    assert state() == "ok"
    session.close()


def test_while_the_keys_are_bad_nobody_new_gets_in(host: Host) -> None:
    """Promise: "while it is bad nobody new gets in"."""
    keys = host.home / "authorized_keys"
    line = keys.read_text()
    keys.write_text(line + 'command="ls" ' + line)
    assert host.object("true")["state"] == "unauthenticated"
    assert "authorized_keys:2" in host.wait_for("rexec-server: refused why=.*keys: ")
    keys.write_text(line)
    assert host.run("true").returncode == 0
