"""Strings, subsystems and copies: other forms of asking, and the same decision."""

from __future__ import annotations

import pytest

from rexec.policy.decide import decide
from rexec.policy.explain import explain
from rexec.policy.rules import Deny, Missing, Permit
from tests.policy.fakes import FakeDisk, asked, denial, permit, policy_of, request_of

LIST = """\
git-upload-pack {path:/srv/git/** ro}
ls
sftp-server []
@get {path:/var/log/** ro}
@put {path:/srv/in/** new}
"""


def string(text: str, line: str) -> object:
    return asked(text, line, form="string")


def test_a_string_is_split_and_judged_as_words() -> None:
    assert permit(LIST, "git-upload-pack '/srv/git/a b'", form="string").argv == (
        "git-upload-pack",
        "/srv/git/a b",
    )
    assert isinstance(string(LIST, "git-upload-pack '/etc'"), Deny)


def test_shell_syntax_is_never_run_as_words() -> None:
    """remote-shell.md: "`rm a && rm b` must not become one `rm` with four arguments"."""
    said = denial("rm ...", "rm a && rm b", form="string")
    only = "only the rule @shell gives one, and cmds.txt has none for this user"
    assert said == f'"rm a && rm b" needs a shell (&): {only}'


def test_an_open_quote_is_denied() -> None:
    assert denial("echo ...", "echo 'a", form="string") == "\"echo 'a\": it has a ' that is never closed"


@pytest.mark.parametrize("line", ["echo a; id", "cd /srv && ls", "true"])
def test_the_shell_rule_runs_the_string(line: str) -> None:
    found = permit("ls\n@shell", line, form="string")
    assert (found.argv, found.path) == (("sh", "-c", line), "/bin/sh")
    assert found.logged == ("@shell", line)


def test_of_a_program_and_a_shell_the_first_rule_wins() -> None:
    assert permit("ls\n@shell", "ls -l", form="string").argv == ("ls", "-l")
    assert permit("@shell\nls", "ls -l", form="string").argv == ("sh", "-c", "ls -l")
    assert permit("ls []\n@shell", "ls -l", form="string").argv == ("sh", "-c", "ls -l")


def test_the_shell_rule_is_for_whom_it_is_for() -> None:
    text = "ls\n[bob]\n@shell"
    assert "needs a shell" in denial(text, "ls; id", form="string", user="alice")
    assert permit(text, "ls; id", form="string", user="bob").argv[0] == "sh"


@pytest.mark.parametrize("word", ["@get", "@put", "@shell"])
def test_no_argument_vector_asks_for_a_built_in_rule(word: str) -> None:
    """security.md, Around the allow list: "Asking for ... a copy ... instead, to get around policy"."""
    said = denial("@get {path:/** ro}\n@put {path:/** rw}\n@shell", word, "/etc/shadow")
    assert said == f'"{word}" is a built-in rule and no command'
    for form in ("subsystem", "string"):
        found = asked("@get {path:/** ro}\n@put {path:/** rw}", f"{word} /etc/x", form=form)
        assert isinstance(found, Deny)


def test_a_subsystem_is_the_name_of_a_rule() -> None:
    assert permit(LIST, "sftp", form="subsystem").argv == ("sftp-server",)
    assert permit(LIST, "ls", form="subsystem").argv == ("ls",)
    assert isinstance(asked(LIST, "netconf", form="subsystem"), Deny)
    assert isinstance(asked(LIST, "ls", "-l", form="subsystem"), Deny)
    assert isinstance(asked(LIST, "ls -l", form="subsystem"), Deny)


def test_a_copy_is_judged_by_its_path() -> None:
    found = permit(LIST, "@get", "recursive", "/var/log/x", form="copy")
    assert (found.path, found.argv) == ("", ("@get", "/var/log/x", "recursive"))
    (check,) = found.checks
    assert (check.path, check.writing) == ("/var/log/x", False)
    assert found.fence.confined
    assert found.fence.ro == ("/var/log",)
    assert permit(LIST, "@put", "/srv/in/x", form="copy").checks[0].kind == "new"


@pytest.mark.parametrize(
    "words",
    [
        ("@get", "/etc/shadow"),
        ("@get", "/var/log/../../etc/shadow"),
        ("@put", "/var/log/x"),
        ("@get",),
        ("@get", "x", "/etc/shadow"),
        ("@get", "/var/log/x", "/etc/shadow"),
        ("@shell", "id"),
        ("ls", "/var/log/x"),
        (),
    ],
)
def test_no_copy_leaves_the_rules(words: tuple[str, ...]) -> None:
    """security.md, Copy: "a server that sends other names, `..`, absolute paths": nor does a client."""
    assert isinstance(asked(f"{LIST}@shell\n", *words, form="copy"), Deny)


def test_a_copy_has_no_terminal() -> None:
    assert "gives no terminal" in denial(LIST, "@get", "/var/log/x", form="copy", pty="xterm")


def test_an_unknown_form_is_denied() -> None:
    assert denial("ls", "ls", form="else") == ('a command of the form "else" is not known to this server')


def test_assertions_and_explanations_speak_of_built_in_rules() -> None:
    text = LIST + "%assert allow alice: @get /var/log/x\n%assert deny alice: @get /etc/shadow\n"
    policy_of(f"{text}%assert deny alice: @shell id\n")
    request = request_of("@get", "/var/log/x", form="copy")
    lines = explain(policy_of(text), request).lines
    assert "allowed by cmds.txt:4: @get {path:/var/log/** ro}" in lines
    assert not any(line.startswith("program:") for line in lines)


def test_check_never_lets_a_shell_pass_without_a_warning() -> None:
    """allow-list.md: "@shell ... `check` never lets it pass without a warning"."""
    warnings = [str(problem) for problem in policy_of("@shell\n").warnings]
    assert any("@shell runs whatever the client says" in text for text in warnings)
    assert not any("is not there" in text for text in map(str, policy_of(LIST).warnings))


def test_a_shell_that_is_not_there_is_missing() -> None:
    disk = FakeDisk()
    disk.absent.add("/bin/sh")
    found = decide(policy_of("@shell", disk), request_of("id; id", form="string"))
    assert isinstance(found, Missing)


def test_a_string_that_may_hold_a_secret_is_hidden() -> None:
    """cli.md: "no secret in a log": which word of such a string would be hidden is not known."""
    found = asked("mysql {p=text}\n    redact p\n", "mysql hunter2; id", form="string")
    assert isinstance(found, Deny)
    assert "hunter2" not in found.message
    assert found.logged == ("@shell", "***")


def test_offered_variables_are_taken_or_left() -> None:
    """ssh drops what its AcceptEnv does not name; `-e` of rexec denies it."""
    text = "ls\n    env pass LC_* GIT_PROTOCOL\n    env LC_ALL=C\n"
    offered = (("LC_TIME", "de"), ("LC_ALL", "de"), ("LD_PRELOAD", "x"), ("TZ", "UTC"), ("LC_ A", "x"))
    found = asked(text, "ls", offered=(*offered, ("GIT_PROTOCOL", "version=2")))
    assert isinstance(found, Permit)
    env = dict(found.env)
    assert (env["LC_TIME"], env["LC_ALL"], env["GIT_PROTOCOL"]) == ("de", "C", "version=2")
    assert not {"LD_PRELOAD", "TZ", "LC_ A"} & set(env)
