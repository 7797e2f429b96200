"""What a server may be told."""

from __future__ import annotations

import pytest

from rexec.errors import UsageError
from rexec.limits import DRAIN, GRACE
from rexec.server.config import Settings


def test_who_says_nothing_gets_the_defaults() -> None:
    settings = Settings("cmds.txt", "/home")
    assert [str(address) for address in settings.listen] == ["127.0.0.1:5512"]
    assert (settings.drain, settings.grace) == (DRAIN, GRACE)
    assert settings.provision


@pytest.mark.parametrize("named", [{"authorized_keys": "a"}, {"host_key": "k"}, {"provision": False}])
def test_a_first_start_makes_nothing_where_a_file_was_named(named: dict[str, object]) -> None:
    assert not Settings("cmds.txt", "/home", **named).provision  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls_cert": "c"},
        {"tls_key": "k"},
        {"no_tls": True, "tls_cert": "c", "tls_key": "k"},
        {"no_tls": True, "listen": ("0.0.0.0:1",)},
        {"no_tls": True, "listen": ("127.0.0.1:1", "10.0.0.1:1")},
        {"no_tls": True, "listen": (":1",)},
        {"no_tls": True, "listen": ("web1",)},
        {"listen": ("127.0.0.1:x",)},
    ],
)
def test_settings_that_contradict_each_other_or_are_unsafe_are_refused(wrong: dict[str, object]) -> None:
    """cli.md: "`--no-tls` is taken for `unix:` and loopback addresses; anything else refuses to start"."""
    with pytest.raises(UsageError):
        Settings("cmds.txt", "/home", **wrong)  # type: ignore[arg-type]


def test_in_the_clear_local_addresses_are_taken() -> None:
    listen = ("127.0.0.1:0", "[::1]:0", "localhost:0", "unix:/tmp/s")
    assert len(Settings("cmds.txt", "/home", no_tls=True, listen=listen).listen) == 4
