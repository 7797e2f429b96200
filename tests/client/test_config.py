"""`config.toml`, and what a command line and it together say about one host."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.client.config import Target, Wishes, load_config, resolve, seconds
from rexec.client.tables import parse_config
from rexec.errors import ConfigError, UsageError
from rexec.limits import TIMEOUT_MAX


def target(text: str, toml: str = "", **wished: object) -> Target:
    wishes = Wishes("/home")
    for name, value in wished.items():
        setattr(wishes, name, value)
    return resolve(text, wishes, parse_config(toml, "config.toml"))


WRONG = {
    "[clients]\n": "1: unknown table or key 'clients'",
    "\nport = 1\n": "2: unknown table or key 'port'",
    "[client]\nprot = 1\n": "2: unknown key 'prot' in [client]",
    "[client]\nport = 'x'\n": "2: port wants a number",
    "[client]\nport = true\n": "2: port wants a number",
    "[client]\ntimeout = []\n": "2: timeout wants a text in quotes or a number",
    "[client]\nno_tls = 1\n": "2: no_tls wants true or false",
    "[client]\nenv = ['A=1', 2]\n": "2: env wants a list of texts",
    "[hosts.web1]\nuser = 'a'\n\n[hosts.db]\ncwd = '/'\n": "5: unknown key 'cwd' in [hosts.db]",
    "[hosts]\nweb1 = 'x'\n": "2: [hosts.NAME] is a table of its own",
    "[server]\nlisten = 'a'\nprt = 1\n": "3: unknown key 'prt' in [server]",
    "[client\n": "1:8: expected",
    "[client]\nport = \n": "2:8: invalid value",
    "[client]\nuser = 'x": "2:",
}


@pytest.mark.parametrize("toml", WRONG)
def test_what_is_not_known_is_exit_2_with_file_and_line(toml: str) -> None:
    """cli.md: "Unknown table or key: exit 2 with file and line"."""
    with pytest.raises(ConfigError) as refused:
        parse_config(toml, "config.toml")
    assert str(refused.value).startswith(f"config.toml:{WRONG[toml]}" if WRONG[toml] else "config.toml: ")


def test_the_order_is_option_host_client_default() -> None:
    """cli.md: "Order: option, then host, then client, then default"."""
    client = "[client]\nport = 1\nuser = 'client'\ntimeout = '1s'\nidentity = 'c'\n"
    host = "[hosts.web1]\nport = 2\nuser = 'host'\ntimeout = 2\nidentity = ['h', 'i']\n"
    found = [
        target("web1"),
        target("web1", client),
        target("web1", client + host),
        target("web1", client + host, port=3, user="option", timeout=3.0, identity=["o"]),
    ]
    assert [one.address.port for one in found] == [5512, 1, 2, 3]
    assert [one.user for one in found] == ["", "client", "host", "option"]
    assert [one.timeout for one in found] == [None, 1.0, 2.0, 3.0]
    assert [one.identities for one in found] == [(), ("c",), ("h", "i"), ("o",)]
    assert target("me@web1", client + host, user="option").user == "me"
    assert target("web2", client + host).user == "client"


def test_variables_of_the_configuration_come_before_those_of_the_line() -> None:
    assert target("web1", "[hosts.web1]\nenv = ['A=1']\n", env=["B=2"]).env == ("A=1", "B=2")


PORTS = [
    ("web1", "", None, 5512),
    ("web1:7", "", None, 7),
    ("web1:7", "", 9, 9),
    ("web1:7", "[client]\nport = 8\n", None, 7),
    ("[::1]:7", "[client]\nport = 8\n", None, 7),
    ("::1", "[client]\nport = 8\n", None, 8),
    ("web1", "[hosts.web1]\naddress = '10.0.0.1:7'\nport = 8\n", None, 7),
    ("web1", "[hosts.web1]\naddress = '10.0.0.1'\nport = 8\n", None, 8),
]


@pytest.mark.parametrize(("text", "toml", "option", "port"), PORTS)
def test_a_port_that_is_written_with_the_host_counts_before_a_tables(
    text: str, toml: str, option: int | None, port: int
) -> None:
    assert target(text, toml, port=option).address.port == port


def test_an_alias_has_an_address_of_its_own() -> None:
    found = target("web1", "[hosts.web1]\naddress = 'unix:/run/s'\nno_tls = true\n")
    assert (found.name, str(found.address), found.tls) == ("web1", "unix:/run/s", False)


@pytest.mark.parametrize(
    "text", ["", "@web1", "a@", "-x", "a@-x", "a\nb", "a\x1bb", "a\x85b", ":5", "[::1", "a b"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    """security.md, People's terminals: "A host called `-oProxyCommand=...`"."""
    with pytest.raises(UsageError):
        target(text)


def test_an_alias_does_not_hide_an_address_that_is_none() -> None:
    for address in ("-oProxyCommand=id", "a\\u001bb", "unix:/a\\u0000b", ""):
        with pytest.raises(UsageError):
            target("web1", f'[hosts.web1]\naddress = "{address}"\n')


def test_in_the_clear_only_to_this_machine() -> None:
    """cli.md: "`--no-tls` is taken for `unix:` and loopback addresses"."""
    assert not target("127.0.0.1", no_tls=True).tls
    for text, toml in (
        ("web1", "[client]\nno_tls = true\n"),
        ("10.0.0.1", "[hosts.'10.0.0.1']\nno_tls = true\n"),
    ):
        with pytest.raises(UsageError, match="--no-tls is refused"):
            target(text, toml)


DURATIONS = {"30": 30.0, "30s": 30.0, "1.5s": 1.5, "500ms": 0.5, "2m": 120.0, "1h": 3600.0, "1d": 86_400.0}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_a_number_and_a_unit(text: str) -> None:
    assert seconds(text) == DURATIONS[text]


@pytest.mark.parametrize(
    "text", ["", "s", "0", "0s", "-1s", "+1s", "1w", "nan", "inf", "1e3", "1.2.3s", "1 s", "\u0661s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        seconds(text)


@pytest.mark.parametrize("key", ["timeout", "connect_timeout", "keepalive"])
def test_no_duration_is_longer_than_a_clock_has(key: str) -> None:
    assert getattr(target("web1", f"[client]\n{key} = {10**17}\n"), key) == TIMEOUT_MAX


@pytest.mark.parametrize(
    "value",
    [str(10**19), "9" * 5000, f"0x{'f' * 5000}", "[" * 5000],
    ids=["20 digits", "digits", "hex", "lists"],
)
def test_what_python_cannot_read_is_one_line_with_its_place(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^config\.toml:2") as refused:
        target("web1", f"[client]\ntimeout = {value}")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_empty_unless_it_was_named(tmp_path: Path) -> None:
    assert load_config(str(tmp_path), None).client == {}
    with pytest.raises(ConfigError, match="no such file"):
        load_config(str(tmp_path), str(tmp_path / "other.toml"))
    path = tmp_path / "config.toml"
    path.write_text("[client]\nport = 7\n")
    path.chmod(0o600)
    assert load_config(str(tmp_path), None).client == {"port": 7}
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="others may write it"):
        load_config(str(tmp_path), None)
