"""What the project says of itself is so: licence, README, changelog, links, and what is committed."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from rexec.errors import ConfigError
from rexec.policy.disk import Account, Found
from rexec.policy.parse import parse
from rexec.policy.source import Source
from tests.tree import ROOT, project_files, text_of

PYPROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))
PROGRAMS = {*PYPROJECT["project"]["scripts"]}
PROGRAMS |= {path.rpartition("/")[2] for path in PYPROJECT["tool"]["setuptools"]["script-files"]}
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", text_of(ROOT / "Makefile"), re.M))
PAGES = [pytest.param(path, id=path.name) for path in project_files() if path.suffix == ".md"]
HABITUAL = {"cd", "echo", "export", "git", "pip", "pkill", "printf", "ssh-keygen", "sudo"}
HABITUAL |= {"ansible", "borg", "mosh", "parallel", "rsync", "scp", "sftp", "sshfs"}  # over rexec-ssh
# put together here, so that this file holds none of what it looks for
PRIVATE_KEY = re.compile("-{5}BEGIN " + r"[A-Z ]*PRIVATE KEY-{5}")
WORKPLACE = re.compile(
    r"(?<![\w.~-])/(?:work|workspace|builds|Users)/\w|/home/(?:runner|user|ubuntu|vagrant)/|/\.pyenv/"
)


def fenced(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page that are marked as `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.M | re.S)


class EveryProgram:
    """A disk with every program on it and every directory."""

    def find(self, command: str, path: tuple[str, ...]) -> Found:
        return Found(command if command.startswith("/") else f"/usr/bin/{command}")

    def account(self) -> Account:
        return Account("rexec", "/", 0, 0)

    def other_account(self, user: str, group: str | None) -> Account:
        return Account(user, "/", 1000, 1000)

    def features(self) -> frozenset[str]:
        return frozenset({"landlock", "seccomp"})

    def is_directory(self, path: str) -> bool:
        return True

    def is_there(self, path: str) -> bool:
        return True

    def digest(self, path: str) -> None:
        return None

    def clock(self) -> float:
        return 0.0

    def included(self, pattern: str, within: Source, *, globs: bool) -> list[Source]:
        return []


def test_the_licence_is_apache_2() -> None:
    licence = text_of(ROOT / "LICENSE")
    assert "Apache License\n                           Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert PYPROJECT["project"]["license"] == "Apache-2.0"


def test_the_changelog_says_what_is_not_there_yet() -> None:
    changelog = text_of(ROOT / "CHANGELOG.md")
    unreleased = changelog.partition("## [Unreleased]\n")[2].partition("\n## ")[0]
    assert "### Not yet\n" in unreleased


def test_no_private_key_is_committed() -> None:
    """security.md, Protocol, TLS, authentication: key files. The ones of the demo never leave keys/."""
    assert [path for path in project_files() if PRIVATE_KEY.search(text_of(path))] == []
    in_keys = [path.name for path in project_files() if path.parent == ROOT / "keys"]
    assert in_keys == ["README.md"]


def test_no_file_names_the_place_where_it_was_written() -> None:
    assert [path for path in project_files() if WORKPLACE.search(text_of(path))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists(page: Path) -> None:
    for block in fenced(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for command in commands(line):
                assert_exists(command)


def commands(line: str) -> list[list[str]]:
    """Split a line of shell into its simple commands; redirects go with their command."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def assert_exists(words: list[str]) -> None:
    if words[:1] == ["make"]:
        assert set(words[1:]) <= TARGETS, words
    elif words and words[0].startswith("rexec"):
        assert words[0] in PROGRAMS, words
    elif words:
        assert words[0] in HABITUAL or words[0] in {"sort", "head", "wc"}, words


@pytest.mark.parametrize("page", PAGES)
def test_every_allow_list_of_a_page_is_one(page: Path) -> None:
    for block in fenced(page, "allow-list"):
        assert parse(block, "cmds.txt", EveryProgram()).rules


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_named_exists(page: Path) -> None:
    named = set(re.findall(r"`make ([a-z-]+)", text_of(page)))
    assert named <= TARGETS


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_quick_start_is_two_commands() -> None:
    quick_start = fenced(ROOT / "README.md", "sh")[0].split("\n")
    assert quick_start == ["make demo", "make demo-stop", ""]


def test_the_readme_knows_every_exit_code_of_ours() -> None:
    table = text_of(ROOT / "README.md").partition("## Exit codes")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| ([^|]+) \|", table, re.M)
    assert codes == ["exit code", "0-255", "128 + n", "124", "126", "127", "255", "2"]
    assert ConfigError.exit_code == 2


def test_every_decision_gives_context_options_choice_and_because() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert pages
    for number, page in enumerate(pages, 1):
        headings = re.findall(r"^##? (.+)$", text_of(page), re.M)
        assert headings[0].startswith(f"{number:04}: "), page.name
        assert headings[1:] == ["Context", "Options", "Choice", "Because"], page.name


def test_the_index_leads_to_every_page() -> None:
    index = text_of(ROOT / "docs" / "index.md")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page.name != "index.md" and f"({page})" not in index] == []
