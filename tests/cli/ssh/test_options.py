"""ssh's options: where they stand, how they are spelt, which counts, and what cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.cli.ssh.keywords import MAPPED as KEYWORDS
from rexec.cli.ssh.options import parse
from rexec.cli.ssh.request import offered, text_of
from rexec.errors import UsageError

PLACES: list[tuple[list[str], str | None, list[str]]] = [
    ([], None, []),
    (["h"], "h", []),
    (["h", "ls", "-l"], "h", ["ls", "-l"]),
    (["h", "-p", "1", "ls", "-p", "2"], "h", ["ls", "-p", "2"]),
    (["-p", "1", "h", "-T", "--", "-p"], "h", ["-p"]),
    (["--", "h", "ls"], "h", ["ls"]),
    (["--", "h", "--", "ls"], "h", ["ls"]),
    (["--", "h", "-p", "1"], "h", ["-p", "1"]),
    (["h", "--", "--", "ls"], "h", ["--", "ls"]),
    (["h", "--"], "h", []),
    (["--"], None, []),
    (["h", "-", "x"], "h", ["-", "x"]),
    (["h", "", "x"], "h", ["", "x"]),
    (["u@h", "ls"], "h", ["ls"]),
    (["a@b@h", "ls"], "h", ["ls"]),
    (["ssh://u@h:7/", "ls"], "h", ["ls"]),
    (["ssh://[::1]:7", "ls"], "::1", ["ls"]),
    (["::1", "ls"], "::1", ["ls"]),
]


@pytest.mark.parametrize(("arguments", "host", "command"), PLACES)
def test_options_stand_before_and_after_the_host(
    arguments: list[str], host: str | None, command: list[str]
) -> None:
    """remote-shell.md: "options before AND after the host, until the first word that is no option; `--`
    before the host, after it, or both; never options once the command began"."""
    found = parse(arguments)
    assert (found.host, found.command) == (host, command)


FIELDS: list[tuple[list[str], dict[str, object]]] = [
    (["-p7"], {"port": 7}),
    (["-p", "7"], {"port": 7}),
    (["-oPort=7"], {"port": 7}),
    (["-oPort 7"], {"port": 7}),
    (["-o", "Port=7"], {"port": 7}),
    (["-o", "port 7"], {"port": 7}),
    (["-o", " PORT = 7 "], {"port": 7}),
    (["-o", 'Port="7"'], {"port": 7}),
    (["-p", "1", "-p", "2"], {"port": 1}),
    (["-p", "1", "-oPort=2"], {"port": 1}),
    (["-oPort=2", "-p", "1"], {"port": 2}),
    (["-l", "a", "-l", "b"], {"user": "a"}),
    (["-lU", "-oUser=V"], {"user": "U"}),
    (["-o", 'User="a b"'], {"user": "a b"}),
    (["-xaq"], {"quiet": True}),
    (["-qp7"], {"quiet": True, "port": 7}),
    (["-1", "-2", "-4", "-6", "-A", "-a", "-C", "-g", "-K", "-k", "-x", "-X", "-y", "-Y"], {"quiet": None}),
    (
        ["-b", "-t", "-c", "-t", "-e", "none", "-m", "x", "-I", "x", "-E", "x", "-B", "x", "-Q", "x"],
        {"tty": None},
    ),
    (["-t"], {"tty": "yes"}),
    (["-tt"], {"tty": "force"}),
    (["-t", "-t"], {"tty": "force"}),
    (["-t", "-T"], {"tty": "no"}),
    (["-oRequestTTY=force"], {"tty": "force"}),
    (["-T", "-oRequestTTY=force"], {"tty": "no"}),
    (["-vv", "-v"], {"verbose": 3}),
    (["-oLogLevel=QUIET"], {"quiet": True}),
    (["-oLogLevel=ERROR"], {"terse": True, "quiet": False}),
    (["-oLogLevel=DEBUG3"], {"verbose": 5}),
    (["-n", "-s", "-M"], {"no_stdin": True, "is_subsystem": True, "master": "yes"}),
    (["-S", "/p"], {"control_path": "/p"}),
    (["-O", "check"], {"control": "check"}),
    (["-J", "a,b"], {"proxy_jump": "a,b"}),
    (["-o", "ProxyCommand=nc -X 5 %h %p"], {"proxy_command": "nc -X 5 %h %p"}),
    (["-o", "ProxyCommand nc '%h'"], {"proxy_command": "nc '%h'"}),
    (["-F", "/f"], {"config_file": "/f"}),
    (["-oStrictHostKeyChecking=no"], {"strict": "accept-new"}),
    (["-oStrictHostKeyChecking=off"], {"strict": "accept-new"}),
    (["-oStrictHostKeyChecking=accept-new"], {"strict": "accept-new"}),
    (["-oStrictHostKeyChecking=yes"], {"strict": "yes"}),
    (["-oUserKnownHostsFile=/a /b"], {"known_hosts": ["/a", "/b"]}),
    (["-oUserKnownHostsFile='/a b' /c"], {"known_hosts": ["/a b", "/c"]}),
    (["-oControlPersist=yes"], {"persist": 0.0}),
    (["-oControlPersist=no"], {"persist": -1.0}),
    (["-oControlPersist=1h30m"], {"persist": 5400.0}),
    (["-oControlPersist=60"], {"persist": 60.0}),
    (["-oControlMaster=ask"], {"master": "no"}),
    (["-oSessionType=subsystem"], {"is_subsystem": True}),
    (["-oSessionType=none"], {"no_command": True}),
    (["-oIdentityFile=/a", "-oIdentityFile=/b"], {"identity_files": ["/a", "/b"]}),
    (["-oIdentityFile=none"], {"identity_files": []}),
    (["-oControlPath=/c"], {"control_path": "/c"}),
    (["-oNoSuchKey=1", "-oCiphers=aes128-ctr", "-oForwardX11=yes"], {"port": None}),
    (["-oTunnel=no", "-oLocalForward=none"], {"port": None}),
    (["-oConnectTimeout=none"], {"connect_timeout": 0.0}),
    (["-N", "-f"], {"no_command": True, "background": True}),
]


@pytest.mark.parametrize(("arguments", "fields"), FIELDS)
def test_every_spelling_is_understood_and_of_two_the_first_counts(
    arguments: list[str], fields: dict[str, object]
) -> None:
    """remote-shell.md: "values in the same word or the next ... flags in one word", "of two `-p` the first
    counts in OpenSSH"."""
    for words in ([*arguments, "h", "ls"], ["h", *arguments, "ls"]):
        found = parse(words)
        assert {name: getattr(found, name) for name in fields} == fields
        assert (found.host, found.command) == ("h", ["ls"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-L", "1:h:2"], "nothing is forwarded"),
        (["-R1:h:2"], "nothing is forwarded"),
        (["-D1"], "nothing is forwarded"),
        (["-W", "h:1"], "nothing is forwarded"),
        (["-w", "any"], "nothing is forwarded"),
        (["-oLocalForward=1 h:2"], "LocalForward cannot be had"),
        (["-oTunnel=yes"], "Tunnel cannot be had"),
        (["-Z"], "unknown option"),
        (["--help"], "unknown option '--help'"),
        (["-\x1b"], "unknown option"),
        (["-p"], "needs a value"),
        (["-p", "x"], "not a port"),
        (["-o"], "needs a value"),
        (["-oPort"], "missing argument"),
        (["-oControlPersist"], "missing argument"),
        (["-oPort=x"], "not a port"),
        (["-oBatchMode=maybe"], "not one of"),
        (["-oConnectTimeout=soon"], "not a time"),
        (["-oConnectTimeout=" + "9" * 5000], "not a time"),
        (["-oServerAliveCountMax=-1"], "not a number"),
        (['-oUser="a'], "quote"),
        (["-oSetEnv=A"], "NAME=VALUE"),
        (["-Oforward"], "check, exit and stop"),
        (["@h"], "no user"),
    ],
)
def test_what_cannot_be_had_is_one_line(arguments: list[str], said: str) -> None:
    """remote-shell.md: "refused with one line and 255: `-L -R -D -W -w -N -f`"."""
    with pytest.raises(UsageError) as refused:
        parse([*arguments, "h", "ls"] if arguments not in (["-p"], ["-o"]) else arguments)
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def test_the_user_in_front_counts_before_the_one_at_the_host() -> None:
    assert parse(["-l", "a", "b@h"]).user == "a"
    assert parse(["b@h", "-l", "a"]).user == "b"


def test_an_identity_that_is_not_there_is_said_and_left_out(tmp_path: Path) -> None:
    """ssh(1) does the same: it warns, and goes on with what it has."""
    there = tmp_path / "key"
    there.touch()
    found = parse(["-i", str(tmp_path / "none"), "-i", str(there), "-i", str(there), "h"])
    assert found.identity_files == [str(there)]
    assert len(found.warnings) == 1


def test_a_remote_command_takes_the_place_of_one() -> None:
    assert text_of(parse(["-oRemoteCommand=uptime -p", "h"])) == "uptime -p"
    assert text_of(parse(["-oRemoteCommand=none", "h", "ls"])) == "ls"
    with pytest.raises(UsageError, match="RemoteCommand"):
        text_of(parse(["-oRemoteCommand=uptime", "h", "ls"]))


def test_variables_on_offer() -> None:
    """ssh_config(5): patterns of SendEnv add, with a `-` in front they take away; SetEnv says the value."""
    environ = {"LANG": "C", "LC_ALL": "C", "LC_TIME": "x", "HOME": "/h"}
    found = parse(["-oSendEnv=LANG LC_*", "-oSendEnv=-LC_T*", "-oSetEnv=A=1 LANG='d e'", "-oSetEnv=B=2", "h"])
    assert dict(offered(found, environ)) == {b"LANG": b"d e", b"LC_ALL": b"C", b"A": b"1"}


def test_every_keyword_has_a_case_here() -> None:
    words = " ".join(word for arguments, _ in FIELDS for word in arguments).lower()
    elsewhere = {"HostName", "SendEnv", "SetEnv", "ProxyJump", "StdinNull", "ForkAfterAuthentication"}
    elsewhere |= {"RemoteCommand", "ServerAliveInterval", "ServerAliveCountMax", "BatchMode"}
    missing = {name for name in KEYWORDS if name.lower() not in words} - elsewhere
    assert missing == set()
