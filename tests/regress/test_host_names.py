"""A host that is not a name runs nothing, here or there."""

from __future__ import annotations

import subprocess

import pytest

from tests.regress.conftest import CLIENT, Host

EVIL = [
    "-oProxyCommand=touch canary",
    "user@-oProxyCommand=touch canary",
    "`touch canary`",
    "$(touch canary)",
    "a;touch canary",
    "a|b",
    "a b",
    "a\nb",
    "a\x1b[31mb",
    "a\x01b",
    "a\x7fb",
    "a\u202eb",
    "a'b",
    'a"b',
    "a/b",
    "a\\b",
    "user@",
    "@",
]


@pytest.mark.parametrize("host_name", EVIL, ids=ascii)
def test_what_is_no_host_name_is_exit_2(shared_host: Host, host_name: str) -> None:
    """security.md, People's terminals: "A host called `-oProxyCommand=...` or `` `id` ``"."""
    words = [CLIENT, "--", host_name, "true"]
    done = subprocess.run(
        words,
        env=shared_host.environment(),
        cwd=shared_host.folder,
        capture_output=True,
        input=b"",
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert not (shared_host.folder / "canary").exists()
    lines = done.stderr.decode().splitlines()
    assert 1 <= len(lines) <= 2
    assert all(line.isascii() and line.isprintable() and line.startswith("rexec: ") for line in lines)


def test_an_option_in_the_place_of_a_host_is_an_option(shared_host: Host) -> None:
    """cli.md: "a name that starts with `-` or bears a control character is refused"."""
    words = [CLIENT, "-oProxyCommand=touch canary", "true"]
    done = subprocess.run(
        words,
        env=shared_host.environment(),
        cwd=shared_host.folder,
        capture_output=True,
        input=b"",
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert not (shared_host.folder / "canary").exists()
