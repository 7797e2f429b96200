"""What `%include` and `%use` stand for, written out: the same rules, and so the same decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rexec.policy.expand import expand
from rexec.policy.parse import parse
from rexec.policy.problems import PolicyRefused
from rexec.policy.rules import Policy, Rule
from tests.policy.fakes import FakeDisk, policy_of

LINES = st.sampled_from(
    [
        "ls ...",
        "df -h\n    timeout 3s",
        "tail {path:/srv/** ro}+   # a comment",
        "[alice]",
        "[@ops bob]",
        "[everyone]",
        "",
        "# a comment",
        "%default timeout 10s",
        "%default pty no",
        "%include d/a.txt",
        "%include 'd/b.txt'",
        "%include d/*.txt",
        "%use rsync ro /srv/backup",
        "%use rsync rw '/srv/a b' best-effort",
        "%use git rw /srv/git/**",
        "%use git ro /srv/git/one.git",
        "%use sftp rw /srv",
        "%use borg append /srv/borg",
        "%use ansible",
    ]
)
TEXTS = st.lists(LINES, max_size=8).map("\n".join)
LEAVES = st.lists(LINES.filter(lambda line: "%include" not in line), max_size=5).map("\n".join)


def rules(policy: Policy) -> list[Rule]:
    """Give the rules without where they stand, which is all that may change."""
    return [replace(rule, name="", line=0) for rule in policy.rules]


@settings(max_examples=60, deadline=None)
@given(
    start=st.sampled_from(["", "%strict\n", "%path /opt:/bin\n"]),
    top=TEXTS,
    first=LEAVES,
    second=LEAVES,
    end=st.sampled_from(["", "\n"]),
)
def test_decisions_are_equal_because_the_rules_are(
    start: str, top: str, first: str, second: str, end: str
) -> None:
    disk = FakeDisk()
    disk.files = {"d/a.txt": first + end, "d/b.txt": second + end}
    text = start + top + end
    try:
        before = policy_of(text, disk)
    except PolicyRefused:  # warnings are errors under %strict
        assume(False)
    written = expand(text, "cmds.txt", disk)
    assert not any(line.startswith(("%use", "%include")) for line in written.splitlines())
    disk.files.clear()
    after = parse(written, "cmds.txt", disk)
    assert rules(after) == rules(before)
    assert (after.groups, after.path, after.strict) == (before.groups, before.path, before.strict)


def test_the_section_goes_on_behind_an_include() -> None:
    disk = FakeDisk()
    disk.files = {"a.txt": "ls []\n[bob]\ndf []\n%include b.txt\nid []", "b.txt": "[carol]\nwc []\n"}
    assert expand("[alice]\n%include a.txt\ntrue []\n", "cmds.txt", disk) == (
        "[alice]\n# a.txt\nls []\n[bob]\ndf []\n# b.txt\n[carol]\nwc []\n[bob]\nid []\n[alice]\ntrue []\n"
    )


def test_a_profile_is_kept_as_a_comment_above_its_rules() -> None:
    lines = expand("%use sftp ro /srv\n", "cmds.txt", FakeDisk()).splitlines()
    assert lines[:2] == ["# %use sftp ro /srv", "sftp-server [] = /usr/lib/openssh/sftp-server -R -d /srv"]


@pytest.mark.parametrize("text", ["ls\n", "%strict\nls\n    about 'a # b'\n", "# only a comment\n"])
def test_a_file_without_either_stays_as_it_is(text: str) -> None:
    assert expand(text, "cmds.txt", FakeDisk()) == text
