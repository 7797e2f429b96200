"""A wrong command line or configuration is exit 2, one line and a hint, and no object."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.regress.conftest import CLIENT, Host

WRONG = [
    (),
    ("--json",),
    ("--status-fd", "1", "HOST"),
    ("--no-such-option", "HOST", "true"),
    ("-Z", "HOST", "true"),
    ("-p",),
    ("-p", "x", "HOST", "true"),
    ("-p", "65536", "HOST", "true"),
    ("-p", "-1", "HOST", "true"),
    ("--timeout", "soon", "HOST", "true"),
    ("--timeout", "0", "HOST", "true"),
    ("--timeout", "-1s", "HOST", "true"),
    ("--timeout", "nan", "HOST", "true"),
    ("--timeout=", "HOST", "true"),
    ("--connect-timeout", "x", "HOST", "true"),
    ("--status-fd", "77", "HOST", "true"),
    ("--status-fd", "x", "HOST", "true"),
    ("--json=yes", "HOST", "true"),
    ("-e", "=x", "HOST", "true"),
    ("-e", "NO_SUCH_VARIABLE", "HOST", "true"),
    ("-i", "/no/such/key", "HOST", "true"),
    ("--config", "/no/such/config.toml", "HOST", "true"),
    ("@HOST", "true"),
    ("", "true"),
    ("host:port", "true"),
    ("host:99999", "true"),
    ("[::1", "true"),
    ("unix:", "true"),
    ("-v",),
    ("--",),
    ("--no-tls", "192.0.2.1", "true"),
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
@pytest.mark.parametrize("json", [False, True], ids=["plain", "json"])
def test_a_wrong_command_line_is_exit_2(shared_host: Host, words: tuple[str, ...], json: bool) -> None:
    """cli.md: "A usage or configuration error is exit 2 and prints no object"."""
    before = shared_host.count("rexec-server: (allow|deny) ")
    arguments = [word.replace("HOST", shared_host.address) for word in words]
    done = run([CLIENT, *(["--json"] if json else []), *arguments], shared_host)
    assert done[0] == 2, done
    assert done[1] == b""
    check_words(done[2])
    assert shared_host.count("rexec-server: (allow|deny) ") == before


def run(words: list[str], host: Host) -> tuple[int, bytes, bytes]:
    done = subprocess.run(words, env=host.environment(), capture_output=True, input=b"", check=False)
    return done.returncode, done.stdout, done.stderr


def check_words(text: bytes) -> None:
    """One line, at most one hint behind it, in the tone of the project."""
    lines = text.decode().splitlines()
    assert 1 <= len(lines) <= 2, text
    assert lines[0].startswith("rexec: ")
    assert not lines[0].endswith(".")
    assert all(line.startswith("rexec: hint: ") for line in lines[1:])


CONFIGS = [
    ("[client]\nport = 'x'\n", ":2: "),
    ("[client]\nno_such_key = 1\n", ":2: "),
    ("\n[nonsense]\n", ":2: "),
    ("nonsense = 1\n", ":1: "),
    ("[hosts.web1]\naddress = 1\n", ":2: "),
    ("[client\n", ""),
    ("[client]\ntimeout = 'soon'\n", ""),
]


@pytest.mark.parametrize(("text", "place"), CONFIGS)
def test_a_wrong_configuration_is_exit_2(
    make_host: Callable[..., Host], shared_host: Host, text: str, place: str
) -> None:
    """cli.md: "Unknown table or key: exit 2 with file and line"."""
    folder = make_host().folder
    config = folder / "config.toml"
    config.write_text(text)
    done = shared_host.run("true", options=("--json", "--config", str(config)))
    assert (done.returncode, done.stdout) == (2, b"")
    check_words(done.stderr)
    assert place.encode() in done.stderr
