"""What rexec prints of itself."""

import os
import signal
import subprocess
import sys
from io import BytesIO, TextIOWrapper

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.cli import audit
from rexec.cli.output import report, run_click, say, show
from rexec.errors import ConfigError, RexecError
from rexec.text import neutral


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 🙂", "plain ä 漢 🙂"),
        ("a\x1b[2Jb\n\r\t\0\x7f", "a\\x1b[2Jb\\x0a\\x0d\\x09\\x00\\x7f"),
        ("\x9b\xa0", "\\x9b\\xa0"),
        ("\u202e\u2066\u200b\u2028", "\\u202e\\u2066\\u200b\\u2028"),
        ("\udcff\ud800", "\\xff\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_what_steers_a_terminal_is_shown_instead(text, shown):
    """security.md, People's terminals: control characters, escape sequences, newlines, bidi marks."""
    assert neutral(text) == shown


@given(st.text())
def test_any_text_becomes_one_printable_line(text):
    assert neutral(text).isprintable()
    neutral(text).encode()


def test_an_error_is_one_line_and_its_hint_another(capsys):
    assert report("rexec", ConfigError("a\nb", hint="do\x1b")) == 2
    assert report("rexec", RexecError("lost")) == 255
    assert capsys.readouterr() == ("", "rexec: a\\x0ab\nrexec: hint: do\\x1b\nrexec: lost\n")


def test_no_stderr_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    say("rexec", "x")
    monkeypatch.setattr(sys, "stderr", Full())
    say("rexec", "x")
    assert run_click(command(result=3), "prog", []) == 3


class Full:
    """A stream on a full disk."""

    def write(self, text):
        raise OSError(28, "No space left on device")


def command(raising=None, result=None):
    @click.command()
    @click.option("-x", is_flag=True)
    def run(x):
        if raising is not None:
            raise raising
        return result

    return run


@pytest.mark.parametrize(("result", "code"), [(None, 0), (7, 7), ("x", 0)])
def test_a_command_s_number_is_its_exit_code(result, code):
    assert run_click(command(result=result), "prog", []) == code


@pytest.mark.parametrize(
    ("raising", "code", "line"),
    [
        (ConfigError("bad"), 2, "prog: bad"),
        (click.Abort(), 130, "prog: interrupted"),
        (OSError(28, "No space left on device"), 255, "prog: stdout: no space left on device"),
        (OSError(28, "No space left on device", "/x"), 255, "prog: /x: no space left on device"),
        (OSError(11, "Resource temporarily unavailable"), 255, "prog: resource temporarily unavailable"),
        (click.UsageError("Bad \x1b."), 2, "prog: bad \\x1b\nprog: hint: prog --help"),
    ],
)
def test_every_error_is_one_line(capsys, raising, code, line):
    assert run_click(command(raising), "prog", []) == code
    assert capsys.readouterr() == ("", line + "\n")


PROGRAMS = ["rexec.cli.server", "rexec.cli.keygen", "rexec.cli.audit"]


def buffered(module, *words, **more):
    """Run a program, its stdout with a buffer as everywhere outside of tests."""
    environ = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    code = f"import sys; from {module} import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words], stderr=subprocess.PIPE, env=environ, check=False, **more
    )


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_full_disk_behind_stdout_is_one_line(module):
    with open("/dev/full", "wb") as full:
        done = buffered(module, "--help", stdout=full)
    program = f"rexec-{module.rpartition('.')[2]}"
    assert (done.returncode, done.stderr.decode()) == (255, f"{program}: stdout: no space left on device\n")


def test_a_pipe_that_nobody_reads_ends_a_program_by_its_signal():
    """Its exit code would mean something, such as warnings of `rexec-server check`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = buffered(PROGRAMS[0], "--help", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_recording_is_not_blamed_for_stdout(tmp_path):
    path = tmp_path / "recording"
    path.write_text('{"version":2,"width":80,"height":24}\n[0.0,"o","hello"]\n')
    with open("/dev/full", "wb") as full:
        done = buffered(PROGRAMS[2], "play", str(path), stdout=full)
    assert (done.returncode, done.stderr) == (255, b"rexec-audit: stdout: no space left on device\n")


def test_a_stdout_that_was_never_there_is_no_reason_for_a_traceback(tmp_path, monkeypatch):
    path = tmp_path / "recording"
    path.write_text('{"version":2,"width":80,"height":24}\n[0.0,"o","hello"]\n')
    monkeypatch.setattr(sys, "stdout", None)
    assert audit.main(["play", str(path)]) == 0
    sys.stdout.close()


def test_a_wrong_command_line_is_exit_2(capsys):
    assert run_click(command(), "prog", ["--what"]) == 2
    assert capsys.readouterr().err.startswith("prog: no such option")


def test_no_command_is_one_short_line(capsys):
    assert run_click(audit.cli, "rexec-audit", []) == 2
    assert capsys.readouterr().err == "rexec-audit: missing command\nrexec-audit: hint: rexec-audit --help\n"


def test_help_is_exit_0(capsys):
    assert run_click(command(), "prog", ["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: prog")


def test_a_locale_that_lacks_a_letter_is_no_error(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="latin-1") as out:
        monkeypatch.setattr(sys, "stdout", out)

        @click.command()
        def run():
            click.echo("ä 漢")

        assert run_click(run, "prog", []) == 0
        monkeypatch.undo()
    assert (tmp_path / "out").read_text("latin-1") == "ä \\u6f22\n"


def test_a_letter_that_the_locale_lacks_is_shown_by_its_number(monkeypatch):
    stdout = TextIOWrapper(BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert show("\xe9 \u20ac\n") == 0
    assert stdout.buffer.getvalue() == b"\xe9 \\u20ac\n"
