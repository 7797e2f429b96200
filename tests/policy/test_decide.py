"""The decision."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.limits import TIMEOUT_MAX
from rexec.policy.decide import decide, self_test
from rexec.policy.rules import Deny, Missing, Permit
from tests.policy.fakes import asked, denial, permit, policy_of, request_of

CAREFUL = """\
%path    /usr/bin:/bin:/usr/sbin
%group   ops = alice bob
%set     UNIT = nginx redis postgresql
%default timeout 60s

[everyone]
uptime []
df [-h -i -T] {path:/ dir}?
tail [-n={int:1..10000} -f] -- {path:/var/log/** ro file}
    noexec
    idle 10m

[@ops]
svc {act=start|stop|restart|status} {u=UNIT} = systemctl --no-pager {act} -- {u}.service
    rate 6/min
    danger high
    about "Start, stop or look at a service"

%assert allow alice: svc restart nginx
%assert deny  alice: svc restart sshd
%assert deny  alice: tail -- /var/log/../../etc/shadow
"""
TRIVIAL = "# cmds.txt\nls\nuptime []\ndf -h\nsystemctl status ...\n"


def allowed(text: str, *words: str, **changes: object) -> bool:
    return isinstance(asked(text, *words, **changes), Permit)


# --- which rule -------------------------------------------------------------------------------------


def test_a_program_alone_takes_any_arguments() -> None:
    assert allowed(TRIVIAL, "ls")
    assert allowed(TRIVIAL, "ls", "-l", "", "/etc")


def test_a_denial_names_the_nearest_rule_and_the_first_argument_that_failed() -> None:
    assert denial(TRIVIAL, "df", "-h", "/") == (
        '"df -h /": cmds.txt:4 allows exactly "df -h" (extra argument "/")'
    )
    assert denial(TRIVIAL, "uptime", "-p") == (
        '"uptime -p": cmds.txt:3 allows "uptime" without arguments (extra argument "-p")'
    )
    assert denial(TRIVIAL, "systemctl", "stop", "x") == (
        '"systemctl stop x": cmds.txt:5 allows "systemctl status ..." (argument 1 is "stop", not "status")'
    )
    assert denial(TRIVIAL, "df") == '"df": cmds.txt:4 allows exactly "df -h" (missing argument "-h")'


def test_the_nearest_rule_is_the_one_with_the_longest_matching_start() -> None:
    decision = asked("git log\ngit log -p -1\ngit show", "git", "log", "-p", "-2")
    assert isinstance(decision, Deny)
    assert decision.rule == "cmds.txt:2"


def test_among_very_many_rules_the_nearest_is_named_too() -> None:
    text = "".join(f"x {number} a\n" for number in range(100)) + "x 50 b c"
    assert denial(text, "x", "50", "b", "d").endswith(
        'cmds.txt:101 allows exactly "x 50 b c" (argument 3 is "d", not "c")'
    )


def test_a_denial_shows_what_the_client_says_and_not_what_is_started() -> None:
    assert denial("svc {u=word} = systemctl stop -- {u}", "svc", "-x") == (
        '"svc -x": cmds.txt:1 allows "svc {u=word}" (argument 1 is "-x", not a word)'
    )
    assert denial("tail -- {path:/var/log/**}", "tail", "/etc").startswith(
        '"tail /etc": cmds.txt:1 allows "tail -- {path:/var/log/**}" ('
    )


def test_a_missing_server_command_is_named() -> None:
    decision = asked("%path /a\nx = nowhere 1", "x")
    assert isinstance(decision, Missing)
    assert decision.message == '"x": cmds.txt:2 allows it, but nowhere is not in /a'


def test_the_careful_file_decides_as_it_says() -> None:
    tail, svc = ("tail", "-n", "5", "-f", "/var/log/syslog"), ("svc", "restart", "nginx")
    assert permit(CAREFUL, *tail).argv == ("tail", "-n", "5", "-f", "--", "/var/log/syslog")
    assert permit(CAREFUL, *svc).argv == ("systemctl", "--no-pager", "restart", "--", "nginx.service")
    assert allowed(CAREFUL, "df", "-h", "/")
    assert denial(CAREFUL, "svc", "stat", "nginx").endswith(
        '(argument 1 is "stat", not start|stop|restart|status)'
    )
    assert not allowed(CAREFUL, "tail", "-n", "+5", "/var/log/syslog")
    assert not allowed(CAREFUL, *svc, user="carol")


def test_the_first_match_wins() -> None:
    text = "ls -l\n    timeout 1s\nls\n    timeout 2s"
    assert permit(text, "ls", "-l").timeout == 1.0
    assert permit(text, "ls").timeout == 2.0


def test_a_rule_is_only_for_its_people() -> None:
    text = "%group ops = carol\n[alice]\nls\n[@ops]\ndf\n[everyone]\nid"
    assert allowed(text, "ls", user="alice")
    assert not allowed(text, "ls", user="bob")
    assert allowed(text, "df", user="carol")
    assert allowed(text, "df", user="bob", groups=frozenset({"ops"}))
    assert not allowed(text, "df", user="ops")
    assert allowed(text, "id", user="bob")


def test_a_denial_tells_nothing_of_other_peoples_rules() -> None:
    text = "[bob]\nsecret-tool --key x\nsecret-tol\n[alice]\nls"
    assert denial(text, "secret-tool", user="alice") == (
        '"secret-tool": no rule of cmds.txt allows "secret-tool"'
    )
    assert denial(text, "secret-tooo", user="alice") == (
        '"secret-tooo": no rule of cmds.txt allows "secret-tooo"'
    )


def test_a_close_spelling_is_suggested() -> None:
    decision = asked(TRIVIAL, "sl")
    assert decision == Deny(
        '"sl": no rule of cmds.txt allows "sl"; did you mean "ls" (cmds.txt:2)?', "cmds.txt:2"
    )


def test_a_missing_program_is_told_apart_from_a_denial() -> None:
    decision = asked("%path /a:/b\nnowhere x", "nowhere", "x")
    assert isinstance(decision, Missing)
    assert decision.exit_code == 127
    assert decision.rule == "cmds.txt:2"
    assert decision.message == '"nowhere x": cmds.txt:2 allows it, but nowhere is not in /a:/b'
    absolute = asked("/nowhere", "/nowhere")
    assert isinstance(absolute, Missing)
    assert absolute.message.endswith("but /nowhere is not there")


def test_a_missing_program_does_not_fall_through_to_a_later_rule() -> None:
    assert isinstance(asked("[alice]\nnowhere\n[everyone]\nnowhere", "nowhere"), Missing)


def test_a_thousand_rules_are_found_by_their_command_word() -> None:
    policy = policy_of("".join(f"cmd{number} a\n" for number in range(1000)))
    assert len(policy.index) == 1000
    permitted = decide(policy, request_of("cmd999", "a"))
    assert isinstance(permitted, Permit)
    assert permitted.rule.line == 1000


# --- the attacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *("./ls", "//bin/ls", "/bin/../bin/ls", "/proc/self/root/bin/ls", "/bin/ls", "/usr/bin/ls"),
        *("l", "lsof", "LS", "ls ", " ls", "ls\n", "ls -l", "-bash", "ls/", "..", "."),
    ],
)
def test_other_spellings_of_a_program_are_denied(command: str) -> None:
    """security.md, Around the allow list: "prefix of a name (`ls`, `lsof`); other spellings of a path
    (`./ls`, `//bin/ls`, `/bin/../bin/ls`, `/proc/self/root/bin/ls`) ... argv[0] `-bash`"."""
    assert isinstance(asked("ls", command), Deny)


def test_a_rule_with_a_path_answers_to_that_path_alone() -> None:
    assert permit("/bin/ls", "/bin/ls").path == "/bin/ls"
    assert not allowed("/bin/ls", "ls")


def test_an_empty_argv_is_denied() -> None:
    """security.md, Around the allow list: "empty argv and empty argv[0] (CVE-2021-4034)"."""
    assert denial("ls") == "there is no command"
    assert denial("ls", "") == "the command has no name"
    assert denial("ls", "", "ls") == "the command has no name"


@pytest.mark.parametrize(
    "words",
    [("df", "-h -i"), ("df", "-h", ""), ("df", "", "-h"), ("df", "-h\n"), ("df", "-h", "-h"), ("df -h",)],
)
def test_one_argument_is_one_argument(words: tuple[str, ...]) -> None:
    """security.md, Around the allow list: "One argument that pretends to be two, two that match one
    pattern (sudoers wildcards)"."""
    assert isinstance(asked("df -h", *words), Deny)


@pytest.mark.parametrize(
    "word", ["$(id)", "`id`", "a\nb", "a;b", "a|b", "a&b", "<a", ">a", "${IFS}", "*", "~", "\\", "'", '"']
)
def test_what_a_shell_would_read_is_data(word: str) -> None:
    """security.md, Around the allow list: "`$()`, backticks, newline, `;|&<>`, `${IFS}` ...: bytes are
    data, they arrive unchanged"."""
    assert permit("echo", "echo", word).argv == ("echo", word)
    assert not allowed("echo x", "echo", word)


@settings(max_examples=100)
@given(st.lists(st.text(st.characters(blacklist_characters="\0")), max_size=5))
def test_the_argv_is_never_rewritten(words: list[str]) -> None:
    assert permit("echo", "echo", *words).argv == ("echo", *words)


@pytest.mark.parametrize(
    "changes",
    [
        {"words": ("ls", "a\0b")},
        {"words": ("ls\0", "a")},
        {"env": (("A", "b\0"),)},
        {"env": (("A\0", "b"),)},
        {"cwd": "/srv\0"},
        {"pty": "xterm\0"},
    ],
)
def test_a_nul_byte_is_refused(changes: dict[str, object]) -> None:
    """security.md, Around the allow list: "NUL in an argument or variable: refused"."""
    text = "ls\n    env pass A\n    cwd ask"
    message = denial(text, **({"words": ("ls",)} | changes))
    assert "a NUL byte in" in message
    assert message.isprintable()


def test_a_hundred_thousand_arguments_get_a_short_answer() -> None:
    """security.md, Around the allow list: "100,000 arguments, one of 3 MB: a clear error"."""
    assert len(denial("df -h", "df", *["x"] * 100_000)) < 1000
    assert len(denial("df -h", "df", "x" * 3_000_000)) < 1000
    assert len(denial("df -h", "x" * 3_000_000)) < 1000
    assert len(permit("df", "df", *["x"] * 100_000).argv) == 100_001


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("find /srv", ("find", "/srv", "-exec", "sh", ";")),
        ("tar -cf - /srv", ("tar", "-cf", "-", "/srv", "--checkpoint-action=exec=sh")),
        ("sort", ("sort", "--compress-program=sh")),
        ("sort", ("sort", "--compress-prog", "sh")),
        ("git log", ("git", "-c", "core.pager=sh", "log")),
        ("rsync a b", ("rsync", "-e", "sh", "a", "b")),
        ("sed -n p", ("sed", "-np")),
        ("sed -n p", ("sed", "-n", "-p")),
        ("sort [-n -(ru)] {path:/srv/**}", ("sort", "--compress-prog=sh", "/srv/a")),
        ("sort [-n -(ru)] {path:/srv/**}", ("sort", "-no/etc/passwd", "/srv/a")),
        ("sort [-n -(ru)] {path:/srv/**}", ("sort", "/srv/a", "-o/etc/passwd")),
        ("tar [-c -f={path:/srv/**}] {name}*", ("tar", "-c", "-f/srv/a", "--checkpoint-action=exec=sh")),
        ("tar [-c -f={path:/srv/**}] {name}*", ("tar", "-cf", "/srv/a")),
        ("git log {name}?", ("git", "log", "--output=/etc/passwd")),
        ("find {path:/srv/** ro} -name {text}", ("find", "/srv", "-name", "-delete")),
    ],
)
def test_options_that_a_rule_does_not_name_are_denied(rule: str, words: tuple[str, ...]) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs (`find -exec`, `tar
    --checkpoint-action`, `sort --compress-program`, `git -c`, `rsync -e` ...), by abbreviation ..., by
    bundling, by attached value"."""
    text = f"{rule} []" if " " not in rule else rule
    assert isinstance(asked(text, *words), Deny)


def test_the_same_request_gets_the_same_decision_from_one_generation() -> None:
    """security.md, Around the allow list: "Policy reload while a request is judged: one generation
    decides and runs"."""
    policy, request = policy_of(TRIVIAL), request_of("ls", "-l")
    assert decide(policy, request) == decide(policy, request)


def test_a_random_command_is_denied_to_everybody() -> None:
    """security.md, Around the allow list: "A start-up self-test: a random command must be denied"."""
    text = "%group ops = carol\nls\n[alice]\ndf\n    for bob\n[@ops @dev]\nid"
    assert self_test(policy_of(text), "f3a9c1")
    assert not self_test(policy_of(text), "ls")
    assert not self_test(policy_of(text), "id")
    assert not self_test(policy_of("[@dev]\nid"), "id")
    assert not self_test(policy_of("[alice]\nid"), "id")


def test_nobody_is_nobody() -> None:
    assert denial("ls", "ls", user="") == "nobody asks"


def test_a_denial_is_one_printable_line() -> None:
    """security.md, People's terminals, logs and files: "Control characters, escape sequences, newlines,
    bidi marks in user names, argv, denials"."""
    for words in [("df", "\x1b]0;x\x07\n"), ("df", "-h", "\u202e"), ("\x9b31m",), ("df", "\udcff")]:
        assert denial("df -h", *words).isprintable()


# --- what is asked for besides ----------------------------------------------------------------------


def test_a_refusal_does_not_fall_through_to_a_later_rule() -> None:
    text = "ls -l\n    pty no\nls"
    assert denial(text, "ls", "-l", pty="xterm") == '"ls -l": cmds.txt:1 gives no terminal'
    assert allowed(text, "ls", pty="xterm")


def test_a_terminal_is_given_when_rule_and_key_allow_it() -> None:
    """security.md, Around the allow list: "Asking for a terminal ... instead, to get around policy"."""
    assert permit("ls", "ls").pty is None
    assert permit("ls", "ls", pty="xterm-256color").pty == "xterm-256color"
    assert denial("ls", "ls", pty="xterm", pty_allowed=False).endswith("but the key does not (no-pty)")
    assert denial("ls\n    pty only", "ls") == '"ls": cmds.txt:1 runs with a terminal only (-t)'
    assert permit("ls\n    pty only", "ls", pty="").pty == ""
    assert allowed("ls", "ls", pty_allowed=False)


@pytest.mark.parametrize("term", ["../x", "/x", "a b", "a\n", "-x", "é", "x" * 65])
def test_a_terminal_type_is_no_path(term: str) -> None:
    assert "no terminal of the type" in denial("ls", "ls", pty=term)


def test_the_directory_is_the_rules_or_the_home_of_the_account() -> None:
    assert permit("ls", "ls").cwd == "/home/joe"
    assert permit("ls\n    cwd /srv", "ls").cwd == "/srv"
    assert permit("ls", "ls").cwd_root is None


def test_the_client_chooses_no_directory_unless_it_may() -> None:
    message = '"ls": cmds.txt:1 does not let the client choose the directory'
    assert denial("ls", "ls", cwd="/tmp") == message
    assert denial("ls\n    cwd /srv", "ls", cwd="/srv") == message


def test_the_client_may_choose_any_directory_where_the_rule_says_so() -> None:
    chosen = permit("ls\n    cwd ask", "ls", cwd="/etc/./ssh/")
    assert (chosen.cwd, chosen.cwd_root) == ("/etc/ssh", None)
    assert permit("ls\n    cwd ask", "ls", cwd="x").cwd == "/home/joe/x"


def test_the_client_may_choose_below_a_root_and_links_are_left_to_the_start() -> None:
    """security.md, Around the allow list: "Links that leave a root": the permit carries the root."""
    text = "ls\n    cwd /srv/a\n    cwd ask /srv/**"
    assert (permit(text, "ls").cwd, permit(text, "ls").cwd_root) == ("/srv/a", None)
    for cwd, expected in [("/srv", "/srv"), ("/srv/b", "/srv/b"), ("b", "/srv/a/b"), (".", "/srv/a")]:
        chosen = permit(text, "ls", cwd=cwd)
        assert (chosen.cwd, chosen.cwd_root) == (expected, "/srv")


@pytest.mark.parametrize("cwd", ["/", "/etc", "/srv2", "//etc", "/srv/../etc", "..", "", "../../x"])
def test_a_directory_outside_of_the_root_is_denied(cwd: str) -> None:
    assert isinstance(asked("ls\n    cwd /srv\n    cwd ask /srv/**", "ls", cwd=cwd), Deny)


def test_the_smaller_timeout_counts() -> None:
    text = "ls\n    timeout 30s"
    assert permit("ls", "ls").timeout is None
    assert permit("ls", "ls", timeout=5.0).timeout == 5.0
    assert permit(text, "ls").timeout == 30.0
    assert permit(text, "ls", timeout=5.0).timeout == 5.0
    assert permit(text, "ls", timeout=60.0).timeout == 30.0
    assert permit("ls", "ls", timeout=1e18).timeout == TIMEOUT_MAX
    assert permit("ls", "ls", timeout=float("inf")).timeout == TIMEOUT_MAX


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_a_timeout_that_is_none_is_denied(timeout: float) -> None:
    assert denial("ls", "ls", timeout=timeout).endswith("takes no timeout that is not above 0")


def test_stdin_is_read_when_both_want_it() -> None:
    assert permit("cat", "cat").stdin
    assert not permit("cat", "cat", stdin=False).stdin
    assert not permit("cat\n    stdin no", "cat").stdin


def test_a_permit_carries_what_the_process_needs() -> None:
    allowed_one = permit("ls\n    background keep", "ls", "-l")
    assert allowed_one.path == "/usr/bin/ls"
    assert allowed_one.grant is allowed_one.rule.grant
    assert (allowed_one.umask, allowed_one.linger, allowed_one.background_keep) == (0o022, 1.0, True)


@settings(max_examples=200)
@given(
    words=st.lists(st.text(max_size=8), max_size=4),
    env=st.lists(st.tuples(st.text(max_size=6), st.text(max_size=4)), max_size=2),
    cwd=st.none() | st.text(max_size=8),
    pty=st.none() | st.text(max_size=4),
    timeout=st.none() | st.floats(),
)
def test_anything_that_may_be_asked_gets_a_decision(words, env, cwd, pty, timeout) -> None:
    """security.md, Around the allow list: "The client's parser is never trusted: raw frames with any
    content meet the same decision"."""
    request = request_of(*words, env=tuple(env), cwd=cwd, pty=pty, timeout=timeout)
    decision = decide(policy_of("ls\n    cwd ask /srv/**\n    env pass A*"), request)
    if isinstance(decision, Permit):
        assert decision.argv[0] == "ls"
        assert decision.cwd == "/home/joe" or decision.cwd_root == "/srv"
    else:
        assert decision.message.isprintable()
