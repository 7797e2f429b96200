"""A command line that comes as one string is split by the server, and judged as words."""

from __future__ import annotations

from collections.abc import Callable

from rexec.client.result import Result
from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host

RULES = """\
echo ...
env []
    env pass LC_* TZ
sftp-server [] = echo subsystem
[bob]
@shell
"""


def ask(host: Host, exec_: f.Exec) -> tuple[Result, bytes]:
    session = host.session()
    try:
        out = MemorySink()
        command = session.start(exec_, None, out, MemorySink())
        session.finish(command)
        session.run(lambda: command.is_over)
        return command.result(), bytes(out.data)
    finally:
        session.close()


def line(text: str) -> f.Exec:
    return f.Exec(0, f.Form.STRING, (text.encode(),))


def test_a_string_reaches_the_program_as_words(make_host: Callable[..., Host]) -> None:
    """remote-shell.md: "That serves "words", "words\\" and "string" of the table without any shell"."""
    host = make_host(RULES).start()
    result, out = ask(host, line("echo 'a  b' two\\ words *"))
    assert (result.state, out) == ("ok", b"a  b two words *\n")
    host.wait_for(r'rexec-server: allow .*argv=\["echo","a  b","two words","\*"\]')


def test_shell_syntax_is_denied_and_nothing_is_started(make_host: Callable[..., Host]) -> None:
    """security.md, Around the allow list: "`$()`, backticks, newline, `;|&<>`": denied, with a canary."""
    host = make_host(RULES).start()
    canary = host.folder / "canary"
    for text in (f"echo a; touch {canary}", f"echo $(touch {canary})", f"echo a\ntouch {canary}"):
        result, out = ask(host, line(text))
        assert (result.state, result.exit_code, out) == ("denied", 126, b"")
        assert "needs a shell" in (result.error or "")
    assert not canary.exists()


def test_a_shell_is_there_where_the_list_has_one(make_host: Callable[..., Host]) -> None:
    host = make_host("@shell\n").start()
    result, out = ask(host, line("cd / && echo $((6 * 7)) $PWD"))
    assert (result.state, out) == ("ok", b"42 /\n")
    host.wait_for(r'rexec-server: allow .*argv=\["@shell","cd /')


def test_offered_variables_are_taken_or_left(make_host: Callable[..., Host]) -> None:
    host = make_host(RULES).start()
    offered = ((b"LC_TIME", b"de_DE"), (b"LD_PRELOAD", b"/x.so"), (b"OTHER", b"1"))
    result, out = ask(host, f.Exec(0, f.Form.ARGV, (b"env",), offered=offered))
    assert result.state == "ok"
    assert b"LC_TIME=de_DE\n" in out
    assert b"LD_PRELOAD" not in out
    assert b"OTHER" not in out


def test_a_subsystem_is_a_rule(make_host: Callable[..., Host]) -> None:
    host = make_host(RULES).start()
    result, out = ask(host, f.Exec(0, f.Form.SUBSYSTEM, (b"sftp",)))
    assert (result.state, out) == ("ok", b"subsystem\n")
    result, _ = ask(host, f.Exec(0, f.Form.SUBSYSTEM, (b"netconf",)))
    assert result.state == "denied"
