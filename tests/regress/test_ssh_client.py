"""rexec-ssh runs what ssh would be asked for: words, exit codes, words on stderr, variables, trust."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from rexec import __version__
from rexec.auth.private import generate
from tests.regress.conftest import Host
from tests.regress.ssh import SHELL_RULES, SSH, ssh, ssh_popen, ssh_words


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("far"), SHELL_RULES).start()
    yield host
    host.end()


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["echo", "a", "b"], b"a b\n"),
        (["printf %s- 'a b' c"], b"a b-c-"),
        (["printf", "%s-", "a\\ b", "'c  d'", '"e\'"'], b"a b-c  d-e'-"),
        (["--", "printf", "%s", "-p"], b"-p"),
        (["-T", "--", "echo", "x"], b"x\n"),
        (["printf", "%s", "'a\nb'"], b"a\nb"),
        ([b"printf %s '\xff\xfe'"], b"\xff\xfe"),
    ],
)
def test_the_words_are_joined_and_split_by_the_published_rule(
    far: Host, words: list[str | bytes], argv: bytes
) -> None:
    """remote-shell.md: "The words are joined with blanks and sent as form `string`; the *server* splits"."""
    done = ssh(far, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, argv, b"")


def test_what_only_a_shell_could_do_is_never_run_as_words(far: Host) -> None:
    """remote-shell.md: "`rm a && rm b` must not become one `rm` with four arguments"."""
    done = ssh(far, "echo a && echo b")
    assert (done.returncode, done.stdout) == (126, b"")
    assert done.stderr.startswith(b"rexec-ssh: 127.0.0.1: denied: ")
    assert b"@shell" in done.stderr


def test_a_pattern_is_passed_as_it_stands_with_one_warning(far: Host) -> None:
    """remote-shell.md: "Unquoted `* ? [ ~` stay literal, with one warning on stderr"."""
    done = ssh(far, "echo", "/*", "~")
    assert (done.returncode, done.stdout) == (0, b"/* ~\n")
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"rexec-ssh: * is passed as it stands")
    assert ssh(far, "echo", "'/*'").stderr == b""
    assert ssh(far, "echo", "*", options=("-q",)).stderr == b""


def test_a_subsystem_is_the_name_of_a_rule(far: Host) -> None:
    """remote-shell.md: "`-s NAME`: a subsystem is a rule's name: `sftp` asks for `sftp-server`"."""
    done = ssh(far, "sftp", options=("-oForwardX11 no", "-s"), input=b"packets")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"packets", b"")
    assert ssh(far, "-s", "netconf").returncode == 126
    assert ssh(far, options=("-s",)).returncode == 255


@pytest.mark.parametrize(
    ("words", "options", "code", "said"),
    [
        (["true"], (), 0, b""),
        (["false"], (), 1, b""),
        (["sh -c 'exit 200'"], (), 200, b""),
        (["sh -c 'kill -9 $$'"], (), 255, b""),
        (["nothing"], (), 126, b"rexec-ssh: 127.0.0.1: denied: "),
        (["nothing"], ("-q",), 126, b"rexec-ssh: 127.0.0.1: denied: "),
        (["true"], ("-Z",), 255, b"rexec-ssh: unknown option"),
        (["true"], ("-L", "1:h:2"), 255, b"rexec-ssh: -L cannot be had"),
        (["true"], ("-N",), 255, b"rexec-ssh: -N cannot be had"),
        (["true"], ("-f",), 255, b"rexec-ssh: -f cannot be had"),
        (["true"], ("-oPort",), 255, b"rexec-ssh: -o port: missing argument"),
        (["true"], ("-F", "/nowhere"), 255, b"rexec-ssh: /nowhere"),
        (["true"], ("-l", "nobody"), 255, b"rexec-ssh: 127.0.0.1: "),
        (["true"], ("-l", "nobody", "-q"), 255, b""),
        (["true"], ("-oLogLevel=QUIET", "-l", "nobody"), 255, b""),
        (["true"], ("-oConnectTimeout=1", "-oHostName=127.0.0.1", "-oPort=1"), 0, b""),
        ([], (), 255, b"rexec-ssh: no command"),
    ],
)
def test_exit_codes_are_those_of_ssh(
    far: Host, words: list[str], options: tuple[str, ...], code: int, said: bytes
) -> None:
    """remote-shell.md: "Exit codes as ssh's, 255 for its own failures", "255 for death by signal"."""
    done = ssh(far, *words, options=options)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(said)
    assert (done.stderr == b"") == (said == b"")
    assert all(line.startswith(b"rexec-ssh: ") for line in done.stderr.splitlines())


def test_a_server_that_is_not_there(far: Host) -> None:
    done = subprocess.run(
        [SSH, "-p", "1", "127.0.0.1", "true"], env=far.environment(), capture_output=True, check=False
    )
    assert done.returncode == 255
    assert b"connection refused" in done.stderr


def test_variables_that_no_rule_passes_are_dropped_and_not_denied(far: Host) -> None:
    """sshd_config(5), AcceptEnv: "variables not accepted are silently ignored"; git sends one always."""
    options = ("-o", "SendEnv=GIT_PROTOCOL LC_*", "-oSetEnv=LANG=xy A=b LD_PRELOAD=/x")
    done = ssh(far, "env", options=options, env={"LC_T": "1", "GIT_PROTOCOL": "version=2"})
    found = dict(line.partition(b"=")[::2] for line in done.stdout.splitlines())
    assert done.returncode == 0
    assert (found[b"LC_T"], found[b"LANG"]) == (b"1", b"xy")
    assert not {b"GIT_PROTOCOL", b"A", b"LD_PRELOAD"} & set(found)


def test_what_it_says_of_itself(far: Host) -> None:
    """remote-shell.md: "`-G` exits 0 after printing what ssh would (host, user, port), `-V` prints a version
    to stderr: git and brz look"."""
    done = ssh(far, options=("-G", "-l", "alice", "-J", "gate", "-i", "/dev/null"))
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    assert {
        "host 127.0.0.1",
        "hostname 127.0.0.1",
        "user alice",
        f"port {far.port}",
        "proxyjump gate",
    } <= set(lines)
    done = ssh(far, options=("-V",))
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == f"rexec-ssh {__version__}, in place of OpenSSH\n".encode()


def test_no_input_for_a_command_that_would_read_some(far: Host) -> None:
    done = ssh(far, "cat", options=("-n",), input=b"not this")
    assert (done.returncode, done.stdout) == (0, b"")


def test_talk(far: Host) -> None:
    assert b"authenticated as" in ssh(far, "true", options=("-v",)).stderr
    assert ssh(far, "true", options=("-v", "-q")).stderr == b""


def test_a_key_with_a_passphrase_is_not_asked_for_in_a_batch(far: Host, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(
        [str(Path(SSH).parent / "rexec-keygen"), "-f", key, "-N", "secret"], check=True, capture_output=True
    )
    words = ssh_words(far, "true", options=("-i", str(key), "-oBatchMode=yes"))
    client = pexpect.spawn(words[0], words[1:], env=far.environment(), timeout=30)  # type: ignore[arg-type]
    client.expect(pexpect.EOF)
    assert b"Passphrase" not in client.before
    assert client.wait() == 255


# --- trust ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(far: Host) -> dict[str, str]:
    """A user of the host who has never seen its key."""
    return far.guest()


def test_an_unknown_key_is_refused_where_nobody_is_asked(far: Host, stranger: dict[str, str]) -> None:
    done = ssh(far, "true", env=stranger)
    assert done.returncode == 255
    assert b"StrictHostKeyChecking=accept-new" in done.stderr


def test_scripts_that_do_not_care_whom_they_meet(far: Host, stranger: dict[str, str]) -> None:
    """remote-shell.md: "`StrictHostKeyChecking=no` means `--accept-new`"; with UserKnownHostsFile=/dev/null
    nothing is known and nothing is kept."""
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    for _ in range(2):
        done = ssh(far, "true", options=options, env=stranger)
        assert done.returncode == 0
        assert done.stderr.count(b"\n") == 1
    assert ssh(far, "true", options=(*options, "-oLogLevel=ERROR"), env=stranger).stderr == b""
    assert not (Path(stranger["REXEC_HOME"]) / "known_hosts").exists()


def test_a_known_hosts_file_of_ones_own(far: Host, stranger: dict[str, str], tmp_path: Path) -> None:
    known = tmp_path / "known hosts"
    options = ("-oStrictHostKeyChecking=accept-new", f"-oUserKnownHostsFile='{known}'")
    assert ssh(far, "true", options=options, env=stranger).returncode == 0
    assert known.read_text().startswith(f"[127.0.0.1]:{far.port} ssh-ed25519 ")
    strict = ("-oStrictHostKeyChecking=yes", options[1])
    assert ssh(far, "true", options=strict, env=stranger).returncode == 0
    known.write_text(f"[127.0.0.1]:{far.port} {generate('other').public.line('')}\n")
    for option in ("no", "accept-new", "yes"):
        done = ssh(far, "true", options=(f"-oStrictHostKeyChecking={option}", options[1]), env=stranger)
        assert done.returncode == 255
        assert b"changed" in done.stderr


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_without_a_word_when_it_is_told_to(far: Host, number: int) -> None:
    """remote-shell.md: "svn ends its client with SIGTERM: stay silent"."""
    with ssh_popen(far, "sh -c 'echo ready; exec sleep 100'") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(number)
        _, err = client.communicate(timeout=30)
        assert (client.returncode, err) == (255, b"")


def test_one_that_gives_up_waiting_is_a_failure_of_its_own(far: Host) -> None:
    """remote-shell.md: "255 for its own failures"; the command here does not end when it is told to."""
    with ssh_popen(far, "sh -c 'trap \"\" HUP; echo ready; sleep 600'") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGHUP)
        assert client.wait(30) == 255


def test_closed_streams_are_no_reason_for_a_traceback(far: Host) -> None:
    words = ssh_words(far, "cat")
    done = subprocess.run(
        ["sh", "-c", '"$@" <&- >&- 2>&-; echo $?', "sh", *words],
        env=far.environment(),
        capture_output=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (b"0", b"")


def test_a_terminal_only_where_one_is_asked_for(far: Host) -> None:
    """ssh(1): -t wants a local one, -tt does not."""
    assert ssh(far, "tty").stdout == b"not a tty\n"
    done = ssh(far, "tty", options=("-t",))
    assert done.stdout == b"not a tty\n"
    assert b"-tt gives one" in done.stderr
    assert ssh(far, "tty", options=("-tt",)).stdout.startswith(b"/dev/pts/")
    assert ssh(far, "tty", options=("-tt", "-T")).stdout == b"not a tty\n"
    words = ssh_words(far, "stty size", options=("-t",))
    client = pexpect.spawn(words[0], words[1:], env=far.environment(), dimensions=(33, 77), timeout=30)  # type: ignore[arg-type]
    client.expect("33 77")
    client.expect(pexpect.EOF)
    assert client.wait() == 0


def test_without_a_command_a_terminal_gets_the_prompt(far: Host) -> None:
    words = ssh_words(far)
    client = pexpect.spawn(words[0], words[1:], env=far.environment(TERM="dumb"), timeout=30)  # type: ignore[arg-type]
    client.sendline("echo from the prompt")
    client.expect_exact("echo from the prompt")
    client.expect_exact("from the prompt")
    client.expect_exact("> ")
    client.sendline("exit 3")
    client.expect(pexpect.EOF)
    assert client.wait() == 3
