"""rexec-keygen, as a person types it."""

import os
import stat
import subprocess
import sys

import pexpect
import pytest

from rexec import __version__
from rexec.auth.keys import parse_public_line
from rexec.auth.private import PassphraseNeeded, parse_private
from rexec.cli import keygen
from tests.auth.samples import KINDS, VALUES, pem, public


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("REXEC_HOME", raising=False)
    monkeypatch.setattr(keygen, "_at_terminal", lambda: False)
    return tmp_path


@pytest.fixture
def run(here, capsys):
    def run(*arguments):
        code = keygen.main(arguments)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def answers(monkeypatch):
    """Answer at a terminal."""
    waiting = []

    def prompt(question, **_):
        waiting.append(question)
        return given.pop(0)

    given = []
    monkeypatch.setattr(keygen.click, "prompt", prompt)
    monkeypatch.setattr(keygen, "_at_terminal", lambda: True)
    return given


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def put(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)


def test_a_key_is_made_at_home_without_a_question_in_a_pipe(here, run):
    code, out, err = run("-C", "me@here")
    path = here / ".rexec/id_ed25519"
    key = parse_private(path.read_bytes(), None, "id")
    line = key.public.line("me@here")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"private key: {path}",
        f"public key:  {path}.pub",
        f"fingerprint: {key.public.fingerprint()}",
        "a server lets it in with this line in its authorized_keys:",
        line,
    ]
    assert (path.parent / "id_ed25519.pub").read_text() == line + "\n"
    assert [mode_of(at) for at in (path.parent, path, f"{path}.pub")] == [0o700, 0o600, 0o644]


def test_the_comment_is_user_and_host_when_none_is_given(run):
    assert run("-f", "key")[0] == 0
    assert run("-y", "-f", "key")[1].endswith(f"@{os.uname().nodename}\n")


def test_a_user_without_a_name_has_a_number(run, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    run("-f", "key")
    assert run("-y", "-f", "key")[1].endswith(f" 4000000000@{os.uname().nodename}\n")


@pytest.mark.parametrize("way", ["option", "environment"])
def test_another_home_is_made(here, run, monkeypatch, way):
    if way == "environment":
        monkeypatch.setenv("REXEC_HOME", "state")
    assert run(*(["--home", "state"] if way == "option" else []))[0] == 0
    assert sorted(os.listdir("state")) == ["id_ed25519", "id_ed25519.pub"]


def test_a_file_elsewhere_leaves_home_alone(here, run):
    assert run("-f", "key", "-t", "ed25519")[0] == 0
    assert sorted(os.listdir()) == ["key", "key.pub"]


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_an_existing_file_is_never_overwritten(here, run, taken):
    put(here / taken, b"old")
    code, out, err = run("-f", "key")
    assert (code, out) == (2, "")
    assert err.startswith(f"rexec-keygen: {taken}: already exists, and is never overwritten\n")
    assert os.listdir() == [taken]
    assert (here / taken).read_bytes() == b"old"


def test_nothing_is_written_through_a_planted_link(here, run):
    """security.md, Protocol: key files: a planted link."""
    (here / "key").symlink_to("elsewhere")
    assert run("-f", "key")[0] == 2
    assert os.listdir() == ["key"]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_private_key_is_0600_under_any_umask(here, run, umask):
    """security.md, Protocol: key files: created 0600 with O_EXCL under any umask."""
    before = os.umask(umask)
    try:
        assert run("-f", "key")[0] == 0
    finally:
        os.umask(before)
    assert mode_of("key") == 0o600


def test_a_home_that_others_may_write_is_refused(here, run):
    (here / "state").mkdir()
    (here / "state").chmod(0o777)
    code, _, err = run("--home", "state")
    assert (code, err) == (
        2,
        "rexec-keygen: state: others may write it\nrexec-keygen: hint: chmod go-w state\n",
    )


def test_a_passphrase_of_the_command_line_is_used(here, run):
    assert run("-f", "key", "-N", "secret")[0] == 0
    data = (here / "key").read_bytes()
    with pytest.raises(PassphraseNeeded):
        parse_private(data, None, "key")
    assert parse_private(data, b"secret", "key")


def test_a_terminal_is_asked_twice(here, run, answers):
    answers += ["secret", "secret"]
    assert run("-f", "key")[0] == 0
    assert parse_private((here / "key").read_bytes(), b"secret", "key")


def test_an_empty_answer_is_no_passphrase(here, run, answers):
    answers += ["", ""]
    assert run("-f", "key")[0] == 0
    assert parse_private((here / "key").read_bytes(), None, "key")


def test_answers_that_differ_are_asked_again(here, run, answers):
    answers += ["a", "b", "c", "c"]
    code, _, err = run("-f", "key")
    assert (code, err) == (0, "they differ\n")
    assert parse_private((here / "key").read_bytes(), b"c", "key")


def test_answers_that_always_differ_end_it(here, run, answers):
    answers += ["a", "b"] * 3
    assert run("-f", "key")[0] == 2
    assert os.listdir() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_is_shown_as_ssh_keygen_shows_it(here, run, kind):
    put(here / "key.pub", VALUES[f"{kind}.pub"].encode(), 0o666)
    assert run("-l", "-f", "key.pub") == (0, VALUES[f"{kind}.fp"] + "\n", "")
    put(here / "key", pem(kind))
    assert run("-l", "-f", "key") == (0, VALUES[f"{kind}.fp"] + "\n", "")


def test_the_fingerprint_of_a_locked_key_needs_no_passphrase(here, run):
    put(here / "key", pem("edenc"))
    assert run("-l", "-f", "key")[1] == VALUES["edenc.fp"].replace("alice@safe", "no comment") + "\n"


def test_the_comment_of_another_key_beside_it_is_not_taken(here, run):
    put(here / "key", pem("ed"))
    put(here / "key.pub", VALUES["rsa.pub"].encode())
    assert "no comment" in run("-l", "-f", "key")[1]


def test_the_fingerprint_of_a_pem_key_is_found(here, run):
    put(here / "key", parse_private(pem("ed"), None, "key").pkcs8_pem())
    assert run("-l", "-f", "key")[1].split()[1] == public("ed").fingerprint()


@pytest.mark.parametrize("kind", KINDS)
def test_the_public_line_is_what_ssh_keygen_prints(here, run, kind):
    put(here / "key", pem(kind))
    assert run("-y", "-f", "key") == (0, VALUES[f"{kind}.pub"] + "\n", "")


def test_the_public_line_of_the_default_key(here, run):
    run("-C", "x")
    line = (here / ".rexec/id_ed25519.pub").read_text()
    assert run("-y") == (0, line, "")
    assert parse_public_line(line)[1] == "x"


def test_a_locked_key_asks_on_a_terminal_and_fails_in_a_pipe(here, run):
    put(here / "key", pem("edenc"))
    code, out, err = run("-y", "-f", "key")
    assert (code, out) == (2, "")
    assert err.startswith("rexec-keygen: key: the key has a passphrase\n")


@pytest.mark.parametrize(("answer", "code"), [("open sesame", 0), ("wrong", 2), ("", 2)])
def test_the_passphrase_of_a_locked_key_is_asked_for_once(here, run, answers, answer, code):
    put(here / "key", pem("edenc"))
    put(here / "key.pub", VALUES["edenc.pub"].encode())
    answers.append(answer)
    assert run("-y", "-f", "key")[:2] == (code, "" if code else VALUES["edenc.pub"] + "\n")


def test_a_key_that_others_may_read_is_refused(here, run):
    """security.md, Protocol: key files: refused when others may read or write them."""
    put(here / "key", pem("ed"), 0o644)
    for option in ("-l", "-y"):
        code, out, err = run(option, "-f", "key")
        assert (code, out) == (2, "")
        assert err == "rexec-keygen: key: others may read or write it\nrexec-keygen: hint: chmod 600 key\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("-l", "-y"), "exclude each other"),
        (("-l", "-C", "x"), "for a new key"),
        (("-y", "-N", ""), "for a new key"),
        (("-l", "-t", "ed25519"), "for a new key"),
        (("-t", "dsa"), "dsa"),
        (("-C", "a\nb"), "no control characters"),
        (("-x",), "no such option"),
        (("word",), "unexpected extra argument"),
        (("-l", "-f", "missing"), "missing: no such file"),
        (("-l", "-f", "text"), "text: not a public key"),
        (("-y", "-f", "text"), "text: not a private key"),
        (("--home", ""), "names no directory"),
    ],
)
def test_a_wrong_command_line_or_file_is_one_line_and_exit_2(here, run, arguments, why):
    put(here / "text", b"hello\n")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("rexec-keygen: ")
    assert why in err


def test_a_comment_cannot_steer_a_terminal(here, run):
    """security.md, People's terminals: control characters, escape sequences."""
    put(here / "key.pub", f"{public('ed').line()} a\x1b[2J".encode())
    assert "a\\x1b[2J" in run("-l", "-f", "key.pub")[1]


def test_it_runs_as_a_program(here):
    code = "import sys; from rexec.cli.keygen import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "-f", "key", "-C", "x"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.path.exists("key.pub")


def test_a_real_terminal_never_shows_the_passphrase(here):
    code = "import sys; from rexec.cli.keygen import main; sys.exit(main())"
    child = pexpect.spawn(sys.executable, ["-c", code, "-f", "key"], encoding="utf-8", timeout=60)
    for question in ("empty for none", "again"):
        child.expect(question)
        child.sendline("hidden words")
    child.expect(pexpect.EOF)
    assert "hidden words" not in child.before
    child.close()
    assert child.exitstatus == 0
    assert parse_private((here / "key").read_bytes(), b"hidden words", "key")


@pytest.mark.system
@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_ssh_keygen_takes_our_keys_as_its_own(here, run, passphrase):
    run("-f", "key", "-C", "me@here", "-N", passphrase)
    shown = subprocess.run(["ssh-keygen", "-lf", "key"], capture_output=True, text=True, check=True).stdout
    assert run("-l", "-f", "key")[1] == shown
    printed = subprocess.run(
        ["ssh-keygen", "-yf", "key", "-P", passphrase], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split()[:2] == (here / "key.pub").read_text().split()[:2]


def test_its_version_is_that_of_all(run):
    assert run("--version") == (0, f"rexec-keygen, version {__version__}\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_where_people_look_for_it(run, option):
    code, out, _ = run(option)
    assert code == 0
    assert "-f FILE" in out
