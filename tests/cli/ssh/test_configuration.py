"""`-F FILE`, tokens, and where a command line leads in the end."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from rexec.cli.ssh.configuration import obey, read_file
from rexec.cli.ssh.destination import target_of, tokens_of
from rexec.cli.ssh.options import parse
from rexec.cli.ssh.settings import Settings
from rexec.cli.ssh.tokens import login
from rexec.client.config import Target
from rexec.errors import ConfigError, UsageError

FILE = """\
# a comment
Port 7
Host web* !web9
  HostName %h.example.net
  User = alice
  IdentityFile ~/.keys/%r
  ProxyJump gate
Host web1
  Port 8
  User bob
Match host web1
  Port 9
  Hostname nowhere
Host *
  ControlPath "/run/%C"
  ProxyCommand never
  SendEnv LANG
Include /nowhere/*
  User carol
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REXEC_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", "/h")
    return tmp_path


def settings(text: str, *words: str) -> Settings:
    found = parse(list(words))
    obey(found, text, "f")
    return found


def where(*words: str, text: str = "") -> Target:
    return target_of(settings(text, *words))


def test_a_file_says_what_the_command_line_does_not() -> None:
    """remote-shell.md: "`-F` reads Host, HostName, Port, User, IdentityFile, ProxyJump and ignores the
    rest"; ssh_config(5): "the first obtained value will be used"."""
    found = settings(FILE, "web1", "ls")
    assert (found.port, found.host_name, found.user) == (7, "%h.example.net", "alice")
    assert (found.proxy_jump, found.identity_files) == ("gate", ["~/.keys/%r"])
    assert (found.control_path, found.proxy_command, found.send_env) == ("/run/%C", None, [])
    assert settings(FILE, "-p1", "-lx", "WEB1").port == 1
    other = settings(FILE, "web9")
    assert (other.host_name, other.user) == (None, "carol")


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="f:2: port"):
        settings("Host *\nPort x\n", "h")
    found = parse(["-F", str(tmp_path / "none"), "h"])
    with pytest.raises(ConfigError, match="none"):
        read_file(found)
    for nothing in ("none", "/dev/null"):
        read_file(parse(["-F", nothing, "h"]))


def test_where_it_leads() -> None:
    found = where("web1", text=FILE)
    assert (str(found.address), found.name, found.user) == ("web1.example.net:7", "web1", "alice")
    assert found.identities == ("/h/.keys/alice",)
    plain = where("-oConnectTimeout=3", "-oServerAliveInterval=5", "h")
    assert (plain.address.port, plain.user, plain.connect_timeout) == (5512, "", 3.0)
    assert (plain.keepalive, plain.silence) == (5.0, 15.0)
    assert where("-oServerAliveInterval=5", "-oServerAliveCountMax=2", "h").silence == 10.0


def test_config_toml_holds_and_options_count_before_it(home: Path) -> None:
    (home / "config.toml").write_text('[hosts.web]\naddress = "10.0.0.1"\nport = 99\nuser = "u"\n')
    assert str(where("web").address) == "10.0.0.1:99"
    assert str(where("-p1", "web").address) == "10.0.0.1:1"
    assert str(where("-oHostName=x", "web").address) == "x:99"


@pytest.mark.parametrize(
    ("option", "accepts", "asks"), [("no", True, True), ("ask", False, True), ("yes", False, False)]
)
def test_trust(home: Path, option: str, accepts: bool, asks: bool) -> None:
    """remote-shell.md: "`StrictHostKeyChecking=no` means `--accept-new`"."""
    (home / "config.toml").write_text(f"[client]\naccept_new = {str(not accepts).lower()}\n")
    found = where(f"-oStrictHostKeyChecking={option}", "h")
    assert (found.accept_new, found.asks) == (accepts, asks)
    assert not where("-oBatchMode=yes", "h").asks


def test_the_first_known_hosts_file_that_is_there(tmp_path: Path) -> None:
    there = tmp_path / "known 1"
    there.touch()
    assert where(f"-oUserKnownHostsFile=/nowhere '{there}'", "h").known_hosts == str(there)
    assert where("-oUserKnownHostsFile=/no /where", "h").known_hosts == "/no"
    assert where("-oUserKnownHostsFile=none", "h").known_hosts == os.devnull
    assert where("-oUserKnownHostsFile=~/k", "h").known_hosts == "/h/k"
    assert where("h").known_hosts is None


def test_of_several_identities_those_that_are_there(tmp_path: Path) -> None:
    there = tmp_path / "key"
    there.touch()
    assert where("-oIdentityFile=/nowhere", f"-oIdentityFile={there}", "h").identities == (str(there),)
    assert where("-oIdentityFile=/nowhere", "h").identities == ("/nowhere",)


def test_tokens() -> None:
    found = parse(["-p7", "-lbob", "-oHostName=real", "nick"])
    tokens = tokens_of(found, target_of(found))
    node = os.uname().nodename
    assert tokens.expand("%n %h %p %r %% %i %u") == f"nick real 7 bob % {os.getuid()} {login()}"
    assert tokens.expand("%l %L %d") == f"{node} {node.partition('.')[0]} /h"
    whole = f"{node}real7bob".encode()
    assert tokens.expand("~/%C", is_path=True) == f"/h/{hashlib.sha1(whole).hexdigest()}"
    os.environ["X_Y"] = "%p"
    assert tokens.expand("/${X_Y}/%p", is_path=True) == "/%p/7"
    assert tokens.expand("${X_Y}") == "${X_Y}"
    for wrong in ("%z", "100%"):
        with pytest.raises(UsageError):
            tokens.expand(wrong)
    with pytest.raises(UsageError):
        tokens.expand("${NOT_THERE}", is_path=True)


def test_a_way_through_other_hosts() -> None:
    found = where("-J", "u@a:1,b,ssh://[::1]:2", "-v", "-oBatchMode=yes", "-F", "none", "h")
    assert found.via is not None
    assert found.via.argv[3:] == [
        "from rexec.cli.ssh import carry; carry()",
        *("-v", "-F", "none", "-o", "BatchMode=yes", "-J", "u@a:1,b", "-o", "ControlPath=none", "-T"),
        *("-p", "2", "--", "::1", "nc", "h", "5512"),
    ]
    assert where("-J", "none", "h").via is None
    assert where("-oProxyCommand=none", "h").via is None
    by_hand = where("-oProxyCommand=nc -x %r %h %p", "-p7", "-lu", "h").via
    assert by_hand is not None
    assert by_hand.argv == ["/bin/sh", "-c", "exec nc -x u h 7"]
    with pytest.raises(UsageError):
        where("-J", "-oProxyCommand=id", "h")
    with pytest.raises(UsageError):
        where("-J", "a", "unix:/run/x")


@pytest.mark.parametrize("host", ["", "-oProxyCommand=id", "`id`", "a b", "a\nb", "\udcff"])
def test_a_host_that_is_none(host: str) -> None:
    """security.md: "A host called `-oProxyCommand=...` or `` `id` `` (CVE-2023-51385 and kin)"."""
    with pytest.raises(UsageError):
        where("-oProxyCommand=nc %h %p", "--", host, "ls")
