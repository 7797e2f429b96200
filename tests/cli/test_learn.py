"""`rexec-server learn`: which lines of which files are decisions."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from rexec.audit.log import line
from rexec.cli.learn import learn_command
from rexec.cli.output import run_click


def record(event: str, user: str | None, *argv: str, **more: object) -> str:
    return json.dumps({"seq": 1, "event": event, "user": user, "argv": argv, **more}) + "\n"


def learn(*paths: str | Path) -> int:
    return run_click(learn_command, "rexec-server", [str(path) for path in paths])


def rules(text: str) -> list[str]:
    return [found for found in text.splitlines() if found and not found.startswith("#")]


def test_an_audit_log_is_read(tmp_path, capsys) -> None:
    place = tmp_path / "audit.jsonl"
    place.write_text(
        record("start", None)
        + record("allow", "al", "ls", "-l")
        + record("end", "al", "ls", "never")
        + record("deny", "bo", "cat", "/etc/shadow", why="no rule")
    )
    assert learn(place) == 0
    out = capsys.readouterr().out
    assert rules(out) == ["[al]", "ls -l"]
    assert "# denied 1 time by bo (1)\n# cat /etc/shadow\n" in out


def test_the_directory_of_an_audit_log_is_all_of_its_files(tmp_path, capsys) -> None:
    (tmp_path / "audit.jsonl").write_text(record("allow", "al", "b"))
    (tmp_path / "lock").write_text(record("allow", "al", "c"))
    assert learn(tmp_path) == 0
    assert rules(capsys.readouterr().out) == ["[al]", "b []"]


def test_the_log_of_a_server_is_read(tmp_path, capsys) -> None:
    place = tmp_path / "log"
    lines = [
        "rexec-server: listening on 127.0.0.1:5512 (tls, SHA256:x)",
        "Nov 21 12:00:00 web1 " + line("allow", {"user": "al", "from": "::1", "argv": ["echo", 'a "b" c']}),
        line("deny", {"user": None, "rule": None, "argv": ["id"], "why": "a reason with blanks"}),
        "rexec-server: allow user=al argv=[broken",
        "rexec-server: allow user=al",
        "rexec-server: allow ",
    ]
    place.write_text("\n".join(lines))
    assert learn(place) == 0
    out = capsys.readouterr().out
    assert rules(out) == ["[al]", "echo 'a \"b\" c'"]
    assert "# 1 time by - (1): id\n" in out


def test_standard_input_is_read(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(record("allow", "al", "ls") + "{}\n[]\n\n{\n"))
    assert learn("-") == 0
    assert rules(capsys.readouterr().out) == ["[al]", "ls []"]


def test_a_record_with_shortened_arguments_is_left_out_and_told(tmp_path, capsys) -> None:
    place = tmp_path / "audit.jsonl"
    place.write_text(record("allow", "al", "ls", argc=9) + record("allow", "al", "id", argv_sha256="x"))
    assert learn(place) == 0
    shown = capsys.readouterr()
    assert rules(shown.out) == ["[al]", "id []"]
    assert shown.err == f"rexec-server: {place}: 1 record with shortened arguments is left out\n"


@pytest.mark.parametrize("place", ["nothing", "."])
def test_a_file_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert learn(place) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_what_is_no_log_is_told(tmp_path, capsys) -> None:
    """A draft of nothing would pass for that of a log in which nothing happened."""
    place = tmp_path / "cmds.txt"
    place.write_bytes(b'ls ...\n{"version": 2}\n{\n\xff\n')
    assert learn(place) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"rexec-server: {place}: is no log of a server\n")


@pytest.mark.parametrize("text", ["", "\n", "rexec-server: reload result=done\n", record("start", None)])
def test_a_log_without_decisions_is_one(tmp_path, capsys, text: str) -> None:
    place = tmp_path / "log"
    place.write_text(text)
    assert learn(place) == 0
    said = capsys.readouterr()
    assert (rules(said.out), said.err) == ([], "")
