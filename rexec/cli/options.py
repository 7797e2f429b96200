"""The options of `rexec`: one table, from which lines are parsed and help is written.

Options end at the host: what follows it is the command's, dashes and `--help` included. One `--`
directly after the host is dropped.
"""

from __future__ import annotations

from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.client.config import Target


class Line:
    """A parsed command line."""

    def __init__(self) -> None:
        self.host: str | None = None
        self.target: Target | None = None  # where the host was resolved before
        self.command: list[str] = []
        self.port: int | None = None
        self.user: str | None = None
        self.identity: list[str] = []
        self.home: str | None = None
        self.config: str | None = None
        self.terminal = False
        self.no_terminal = False
        self.no_stdin = False
        self.quiet = 0
        self.verbose = 0
        self.env: list[str] = []
        self.cwd: str | None = None
        self.timeout: float | None = None
        self.no_tls = False
        self.accept_new = False
        self.connect_timeout: float | None = None
        self.no_resume = False
        self.resume_for: float | None = None
        self.json = False
        self.status_fd: int | None = None
        self.lists = False
        self.explain = False
        self.version = False
        self.help = False
        self.keep_going = False
        self.confirm: str | None = None
        self.receipt: str | None = None
        self.detach = False
        self.jobs = False
        self.attach: str | None = None
        self.logs: str | None = None
        self.kill: str | None = None
        self.follow = False

    @property
    def is_of_jobs(self) -> bool:
        """Whether it is about detached commands."""
        named = (self.attach, self.logs, self.kill)
        return self.detach or self.jobs or self.follow or any(name is not None for name in named)

    @property
    def quiet_all(self) -> bool:
        """Whether not even the reason of a failure is to be said."""
        return self.quiet > 1


class Option:
    """One row: its spellings, what it sets, and what it takes."""

    __slots__ = ("about", "field", "long", "short", "take", "value")

    def __init__(
        self,
        short: str,
        long: str,
        field: str,
        about: str,
        value: str = "",
        take: Callable[[str], object] | None = None,
    ) -> None:
        self.short = short
        self.long = long
        self.field = field
        self.about = about
        self.value = value  # the name of its value in the help; "" for a flag
        self.take = take


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"{text!a} is not a number")
    return int(text)


def _port(text: str) -> int:
    from rexec.transport.address import parse_port

    return parse_port(text)


def _seconds(text: str) -> float:
    from rexec.client.config import seconds

    return seconds(text)


def confirmation(text: str) -> str:
    """Return a text that can be sent. Raises `UsageError`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!a} is not UTF-8") from None
    return text


OPTIONS = (
    Option("-p", "--port", "port", "connect to this port (5512)", "N", _port),
    Option("-l", "--user", "user", "be this user; else the key decides", "NAME", str),
    Option("-i", "--identity", "identity", "prove with this key alone; may be given again", "FILE", str),
    Option("", "--home", "home", "keys and known hosts, instead of $REXEC_HOME or ~/.rexec", "DIR", str),
    Option("", "--config", "config", "settings, instead of HOME/config.toml", "FILE", str),
    Option("-t", "", "terminal", "a terminal for the command, even without a local one"),
    Option("-T", "", "no_terminal", "never a terminal"),
    Option("-n", "", "no_stdin", "stdin is empty"),
    Option("-q", "--quiet", "quiet", "fewer words on stderr; -qq: none"),
    Option("-v", "--verbose", "verbose", "more words on stderr"),
    Option("-e", "--env", "env", "a variable for the command, if its rule passes it", "NAME[=VALUE]", str),
    Option("-C", "--cwd", "cwd", "the command's directory, if its rule lets you ask", "DIR", str),
    Option("", "--timeout", "timeout", "end the command after this time", "30s", _seconds),
    Option("", "--no-tls", "no_tls", "in the clear, to unix: and loopback addresses alone"),
    Option("", "--accept-new", "accept_new", "take the key of a server that is not known yet"),
    Option(
        "",
        "--connect-timeout",
        "connect_timeout",
        "give up connecting after this time (10s)",
        "10s",
        _seconds,
    ),
    Option("", "--no-resume", "no_resume", "a connection that is lost is not taken up again"),
    Option("", "--resume-for", "resume_for", "how long to try to take it up again (60s)", "60s", _seconds),
    Option(
        "", "--confirm", "confirm", "the text with which a rule wants to be confirmed", "TEXT", confirmation
    ),
    Option("-k", "--keep-going", "keep_going", "go on after a command of a script on stdin has failed"),
    Option("", "--json", "json", "print one JSON object instead of the output"),
    Option("", "--status-fd", "status_fd", "write the JSON object to this descriptor", "N", _number),
    Option("", "--receipt", "receipt", "write here what the server signs about the command", "FILE", str),
    Option("", "--detach", "detach", "let the command run on without us; print its ID"),
    Option("", "--jobs", "jobs", "list your detached commands there"),
    Option("", "--attach", "attach", "show a detached command to its end, as if it were ours", "ID", str),
    Option("", "--logs", "logs", "print what a detached command has written", "ID", str),
    Option("-f", "--follow", "follow", "with --logs: go on until its end"),
    Option("", "--kill", "kill", "end a detached command, with all its children", "ID", str),
    Option("", "--list", "lists", "print what you may run there"),
    Option("", "--explain", "explain", "say which rule decides about COMMAND; run nothing"),
    Option("", "--version", "version", "print the version"),
    Option("-h", "--help", "help", "print this"),
)
_SHORT = {option.short[1:]: option for option in OPTIONS if option.short}
_LONG = {option.long: option for option in OPTIONS if option.long}


def parse(arguments: list[str]) -> Line:
    """Return the line that the arguments mean. Raises `UsageError`."""
    line = Line()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.host = rest.pop(0) if rest else None
            break
        if word.startswith("--"):
            _long(line, word, rest)
        elif word.startswith("-") and word != "-":
            _short(line, word, rest)
        else:
            line.host = word
            break
    if rest and rest[0] == "--":
        del rest[0]
    line.command = rest
    return line


def _long(line: Line, word: str, rest: list[str]) -> None:
    name, equals, value = word.partition("=")
    option = _LONG.get(name)
    if option is None:
        raise UsageError(f"unknown option {word!a}", hint="rexec --help lists them")
    if not option.value:
        if equals:
            raise UsageError(f"{name} takes no value")
        _set(line, option, None)
        return
    _set(line, option, value if equals else _next(name, rest))


def _short(line: Line, word: str, rest: list[str]) -> None:
    letters = word[1:]
    while letters:
        option = _SHORT.get(letters[0])
        if option is None:
            raise UsageError(f"unknown option {'-' + letters[0]!a}", hint="rexec --help lists them")
        letters = letters[1:]
        if option.value:
            _set(line, option, letters or _next(option.short, rest))
            return
        _set(line, option, None)


def _next(name: str, rest: list[str]) -> str:
    if not rest:
        raise UsageError(f"{name} needs a value")
    return rest.pop(0)


def _set(line: Line, option: Option, value: str | None) -> None:
    before = getattr(line, option.field)
    if value is None:
        setattr(line, option.field, True if isinstance(before, bool) else before + 1)
        return
    assert option.take is not None
    try:
        taken = option.take(value)
    except UsageError as error:
        raise UsageError(f"{option.long or option.short}: {error}") from None
    if isinstance(before, list):
        before.append(taken)
    elif before is None:  # of two, the first counts, as in ssh
        setattr(line, option.field, taken)


def _usage() -> str:
    lines = ["usage: rexec [OPTIONS] [USER@]HOST[:PORT] [COMMAND [ARG]...]", ""]
    for option in OPTIONS:
        names = ", ".join(name for name in (option.short, option.long) if name)
        lines.append(f"  {f'{names} {option.value}'.strip():<26} {option.about}")
    lines += [
        "",
        "Without COMMAND: a prompt at a terminal, else one command a line from stdin.",
        "Options end at the host; what follows reaches the program as exactly these arguments.",
        "Exit: the command's own code; 128+n death by signal n; 124 timeout; 126 denied; 127 not there;",
        "255 rexec failed; 2 the command line or a configuration file is wrong.",
    ]
    return "\n".join(lines) + "\n"


USAGE = _usage()
