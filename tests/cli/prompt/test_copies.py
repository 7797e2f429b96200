"""`get` and `put` in the prompt: the copies of `rexec-cp` on the prompt's own connection."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.prompt.conftest import Prompt
from tests.regress.conftest import PATIENCE, Host


@pytest.fixture
def copying(make_host: Callable[..., Host], open_prompt: Callable[..., Prompt]) -> Prompt:
    """A prompt whose host lets files be copied from `out`, and to `in`; `here` is where it runs."""
    host = make_host("")
    folder = host.folder.resolve()
    rules = f"@get {{path:{folder}/out/** ro}}\n@put {{path:{folder}/in/** rw}}\necho\n    cwd ask '/**'\n"
    host.allow_list.write_text(rules)
    for name in ("out", "in"):
        (folder / name).mkdir()
    host.start()
    prompt = open_prompt(host, columns=200)
    prompt.folder = folder  # type: ignore[attr-defined]
    return prompt


def folder_of(prompt: Prompt) -> Path:
    found = prompt.folder  # type: ignore[attr-defined]
    assert isinstance(found, Path)
    return found


def test_files_come_and_go(copying: Prompt, tmp_path: Path) -> None:
    folder = folder_of(copying)
    (folder / "out" / "a").write_text("a")
    assert "100%" in copying.run(f"get {folder}/out/a")
    assert copying.code == 0
    assert (tmp_path / "a").read_text() == "a"
    copying.run(f"get {folder}/out/a b")
    assert (tmp_path / "b").read_text() == "a"
    copying.run(f"put a b {folder}/in")
    copying.run(f"put a {folder}/in/c")
    assert copying.code == 0
    assert sorted(os.listdir(folder / "in")) == ["a", "b", "c"]
    (tmp_path / "tree").mkdir()
    copying.run(f"put -r tree {folder}/in")
    assert (folder / "in" / "tree").is_dir()
    assert "is a directory (-r copies it)" in copying.run(f"put tree {folder}/in")
    assert copying.code == 1


def test_a_copy_that_is_denied_or_makes_no_sense_leaves_the_prompt(copying: Prompt, tmp_path: Path) -> None:
    """security.md, Around the allow list: asking for a copy instead, to get around the policy."""
    assert "denied: " in copying.run("get /etc/passwd")
    assert copying.code == 126
    assert not (tmp_path / "passwd").exists()
    assert "there is no option" in copying.run("get -x a")
    assert copying.code == 2
    assert "put [-r] [-p] [--resume] LOCAL... [REMOTE]" in copying.run("put")
    assert "copy files of the host to here" in copying.run("help get")
    assert "\n\n" in copying.run("echo")
    assert copying.code == 0


def test_ctrl_c_ends_the_copy_and_keeps_the_prompt(copying: Prompt, tmp_path: Path) -> None:
    folder = folder_of(copying)
    (folder / "out" / "large").write_bytes(bytes(8 << 20))
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    copying.type(f"get {folder}/out/large pipe\r")
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    assert poll.poll(PATIENCE * 1000)  # and nobody takes it
    copying.press("c")
    assert copying.ready() == 130
    os.close(reading)
    assert "\n\n" in copying.run("echo")


def test_what_a_copy_may_name_is_completed(copying: Prompt, tmp_path: Path) -> None:
    folder = folder_of(copying)
    (folder / "out" / "unmistakable").write_text("x")
    (tmp_path / "likewise").write_text("x")
    copying.type(f"get {folder}/out/unm\t")
    copying.wait_for("istakable")
    copying.type("\r")
    assert copying.ready() == 0
    assert (tmp_path / "unmistakable").exists()
    copying.type("put lik\t")
    copying.wait_for("ewise")
    copying.type(f" {folder}/in\r")
    assert copying.ready() == 0
    assert (folder / "in" / "likewise").exists()
