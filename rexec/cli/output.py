"""What rexec itself prints: one line an error, at most one hint, nothing that steers a terminal."""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper

from rexec.cli import lacking
from rexec.errors import RexecError, UsageError
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from click import Command

# What is said of a stream that takes no more, and of no other thing that programs run into here.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)


def say(program: str, text: str, end: str = "\n", start: str = "") -> None:
    """Print one line to stderr; one that nobody can read is no reason to fail."""
    try:
        sys.stderr.write(f"{start}{program}: {neutral(text)}{end}")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # gone, closed, never there
        pass


def show(text: str) -> int:
    """Print what was asked for; return 0. Whoever closed stdout or its pipe did not want it."""
    try:
        if sys.stdout is not None:
            try:
                sys.stdout.write(text)
            except UnicodeEncodeError as error:  # a locale that lacks a letter
                sys.stdout.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        raise RexecError(f"stdout: {(error.strerror or 'cannot be written').lower()}") from None
    return 0


def alarming(text: str) -> str:
    """Show text in red where stdout is a terminal that has colours (https://no-color.org)."""
    plain = not os.isatty(1) or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return text if plain else f"\x1b[31m{text}\x1b[m"


def report(program: str, error: RexecError) -> int:
    """Print an error and its hint; return the exit code."""
    if str(error):  # else somebody on the way has said it
        say(program, str(error))
    if error.hint:
        say(program, f"hint: {error.hint}")
    return error.exit_code


def run_click(command: Command, program: str, arguments: Sequence[str] | None) -> int:
    """Run a click command as a program; return the exit code, every error printed in one line."""
    import click

    if sys.stdout is None:  # closed by who started us, who wants none of it
        sys.stdout = open(os.devnull, "w")  # as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that lacks a letter is no reason for a traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        result = command.main(arguments, prog_name=program, standalone_mode=False)
    except RexecError as error:
        return report(program, error)
    except click.ClickException as error:
        words = error.format_message().rstrip(".")
        place = getattr(error, "ctx", None)  # the subcommand that was misunderstood
        hint = f"{place.command_path if place else program} --help"
        return report(program, UsageError(words[:1].lower() + words[1:], hint=hint))
    except click.Abort:
        say(program, "interrupted")
        return 130  # 128 + SIGINT
    except SystemExit:  # of click, where nobody reads the pipe any more: its code would mean something else
        import signal

        from rexec.cli.signals import die_by

        die_by(signal.SIGPIPE)
        raise
    except OSError as error:
        place = "stdout: " if is_of_output(error) else ""
        code = report(program, RexecError(f"{place}{lacking(error)}"))
        _forget_stdout()
        return code
    return result if isinstance(result, int) else 0


def is_of_output(error: OSError) -> bool:
    """Whether it is stdout that could not be written."""
    return error.filename is None and error.errno in _FULL


def _forget_stdout() -> None:
    """Let go what could not be written, or the interpreter tries again as it ends, with words of its own."""
    try:
        number = sys.stdout.fileno()
        sys.stdout.flush()
    except (ValueError, AttributeError):  # closed, never there
        pass
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
