"""What a rule says about arguments is what is run: allow-list.md, Grammar."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host

RULES = """\
echo [-n] -- {int:1..10} {name}*
greet {who=name} {more=text}* = /bin/echo Hello {who}, {more}
login {user=name} {key=any} = /bin/echo in
    redact key
cat {path:INSIDE/** ro file}
"""


@pytest.fixture
def patterned(make_host: Callable[..., Host], tmp_path: Path) -> Host:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "here").write_text("here\n")
    (tmp_path / "outside").write_text("outside\n")
    (inside / "link").symlink_to("../outside")
    return make_host(RULES.replace("INSIDE", str(inside))).start()


def test_the_program_gets_the_dashes_of_its_rule(patterned: Host) -> None:
    assert patterned.run("echo", "5", "a").stdout == b"-- 5 a\n"
    assert patterned.run("echo", "-n", "5").stdout == b"-- 5"
    done = patterned.run("echo", "5", "-n")
    assert done.returncode == 126
    assert b'(argument 2 is "-n", not a name)' in done.stderr


def test_the_server_command_is_run_with_what_was_captured(patterned: Host) -> None:
    done = patterned.run("greet", "Ada", "$(id); `id`", "|")
    assert (done.returncode, done.stdout) == (0, b"Hello Ada, $(id); `id` |\n")
    assert patterned.run("greet", "7").returncode == 126


def test_a_redacted_value_is_in_no_log_and_no_denial(patterned: Host) -> None:
    assert patterned.run("login", "ada", "geheim").stdout == b"in\n"
    done = patterned.run("login", "ada", "geheim", "geheim")
    assert done.returncode == 126
    patterned.wait_for("rexec-server: deny ")
    told = [*patterned.lines, done.stderr.decode()]
    assert not any("geheim" in line for line in told)
    assert any('argv=["login","ada","***"]' in line.replace(", ", ",") for line in patterned.lines)
    for record in (patterned.home / "audit").glob("*"):
        assert record.is_dir() or b"geheim" not in record.read_bytes()


def test_a_redacted_value_is_in_no_log_of_a_command_that_no_rule_judged(patterned: Host) -> None:
    """security.md, Processes and keys: a revoked key is denied, and its words are logged all the same."""
    session = patterned.session()
    (patterned.home / "authorized_keys").write_text("")
    exec_ = f.Exec(0, f.Form.ARGV, (b"login", b"ada", b"geheim"))
    command = session.start(exec_, None, MemorySink(), MemorySink())
    session.run(lambda: command.is_over)
    session.close()
    assert "no longer authorised" in patterned.wait_for("rexec-server: deny ")
    assert not any("geheim" in line for line in patterned.lines)
    for record in (patterned.home / "audit").glob("*"):
        assert record.is_dir() or b"geheim" not in record.read_bytes()


def test_a_path_is_held_to_its_root_with_its_links(patterned: Host, tmp_path: Path) -> None:
    """security.md, Around the allow list: "Links that leave a root"."""
    inside = tmp_path / "inside"
    assert patterned.run("cat", str(inside / "here")).stdout == b"here\n"
    for path in (inside / "link", inside / ".." / "outside", tmp_path / "outside", inside):
        done = patterned.run("cat", str(path))
        assert (done.returncode, done.stdout) == (126, b""), path


def test_an_explanation_shows_values_and_the_argv(patterned: Host) -> None:
    told = patterned.run("greet", "Ada", "x", options=("--explain",)).stdout.decode()
    assert "who=Ada" in told
    assert "argv: /bin/echo Hello Ada, x" in told
    hidden = patterned.run("login", "ada", "geheim", options=("--explain",)).stdout.decode()
    assert "geheim" not in hidden
    assert "key=***" in hidden
    done = patterned.run("echo", "11", options=("--json",))
    assert "or a whole number from 1 to 10" in json.loads(done.stdout)["error"]
