"""A server may keep its reasons to itself: `--terse-denials`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.regress.conftest import Host

RULES = "echo a b\n    env TOKEN=x\nsleep\n    pty no\n/nowhere/x\n"
SAID = "denied: the server gives no reasons"


@pytest.fixture
def terse(make_host: Callable[..., Host]) -> Host:
    return make_host(RULES).start("--terse-denials")


@pytest.mark.parametrize(
    ("words", "options"),
    [(("echo", "a", "c"), ()), (("frob",), ()), (("sleep",), ("-t",)), (("echo", "a", "b"), ("-e", "X=y"))],
)
def test_a_denial_says_no_more_than_that_and_the_log_says_why(
    terse: Host, words: tuple[str, ...], options: tuple[str, ...]
) -> None:
    done = terse.run(*words, options=options)
    assert (done.returncode, done.stdout) == (126, b"")
    assert done.stderr.decode() == f"rexec: {terse.address}: {SAID}\n"
    assert "why=" in terse.wait_for("deny user=")
    found = terse.object(*words, options=options)
    assert (found["state"], found["rule"]) == ("denied", None)
    assert str(found["error"]).endswith("the server gives no reasons")


def test_an_explanation_tells_no_more_than_the_denial(terse: Host) -> None:
    """The question must not be the way round the short answer."""
    done = terse.run("echo", "a", "c", options=("--explain",))
    assert (done.returncode, done.stdout) == (126, f"{SAID}\n".encode())
    allowed = terse.run("echo", "a", "b", options=("--explain",))
    assert allowed.returncode == 0
    assert allowed.stdout.startswith(b"allowed by cmds.txt:1: echo a b\n")


def test_who_is_allowed_learns_that_the_program_is_not_there(terse: Host) -> None:
    done = terse.run("/nowhere/x")
    assert done.returncode == 127
    assert b"cmds.txt:5 allows it" in done.stderr


def test_the_configuration_may_say_it_and_a_reload_hears_it(make_host: Callable[..., Host]) -> None:
    host = make_host(RULES).start()
    assert b"allows exactly" in host.run("echo", "a", "c").stderr
    place = host.home / "config.toml"
    place.write_text("[server]\nterse_denials = true\n")
    place.chmod(0o600)
    assert host.process is not None
    host.process.send_signal(1)
    host.wait_for("reload result=done")
    assert host.run("echo", "a", "c").stderr.decode() == f"rexec: {host.address}: {SAID}\n"
