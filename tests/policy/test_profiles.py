"""The ready-made rules, judged by the forms of commands that these programs send, and by what gets round
other wrappers of them: rrsync, git-shell, sftp-server, borg serve.

security.md, Around the allow list: "Option injection into allowed programs", "prefix of a name" (`/srv`
and `/srvother`), and paths that climb.
"""

from __future__ import annotations

import pytest

from rexec.policy.problems import Severity
from rexec.policy.profiles import PROFILES
from rexec.policy.rules import Permit, Policy
from tests.policy.fakes import FakeDisk, asked, permit, policy_of, refusals

USES = [
    "%use ansible",
    "%use borg append /srv/borg",
    "%use borg full '/srv/b b'",
    "%use git ro /srv/git/**",
    "%use git rw /srv/git/one.git",
    "%use rsync ro /srv/data",
    "%use rsync rw '/srv/d d'",
    "%use sftp ro /srv/data",
    "%use sftp rw /srv/data",
]


def takes(use: str, command: str) -> bool:
    return isinstance(asked(use, *command.split(" ")), Permit)


@pytest.mark.parametrize("use", USES)
def test_the_rules_of_a_profile_stand_at_its_line(use: str) -> None:
    policy = policy_of(f"[alice]\n\n{use}\n[bob]\nls")
    *mine, last = policy.rules
    assert {rule.label for rule in mine} == {"cmds.txt:3"}
    assert last.label == "cmds.txt:5"
    assert all(rule.section.users == {"alice"} for rule in mine)


@pytest.mark.parametrize("use", [use for use in USES if "ansible" not in use])
def test_a_profile_is_confined_and_has_nothing_to_warn_of(use: str) -> None:
    policy = policy_of(f"%strict\n{use}")
    assert [problem for problem in policy.warnings if problem.severity is not Severity.NOTE] == []
    for rule in policy.rules:
        fence = rule.grant.fence
        assert fence.confined
        assert fence.noexec or fence.exec_only is not None
        assert not fence.best_effort


def test_a_kernel_without_fences_refuses_a_profile_unless_best_effort_is_said() -> None:
    disk = FakeDisk()
    disk.kernel = frozenset()
    assert refusals("%use sftp ro /srv", disk)[0].line == 1
    policy: Policy = policy_of("%use sftp ro /srv best-effort", disk)
    assert all(rule.grant.fence.best_effort for rule in policy.rules)


@pytest.mark.parametrize("use", ["%use rsync rw '/srv/d d'", "%use borg append '/srv/d d'"])
def test_what_a_program_looks_for_by_habit_is_named_by_its_environment(use: str) -> None:
    """fence.md: a look at another file is told; one at each run would hide the one that matters."""
    for rule in policy_of(use).rules:
        given = dict(rule.grant.env_set)
        assert given["OPENSSL_CONF"] == "/dev/null"
        if "borg" in use:
            assert (given["TMPDIR"], given["PYTHONSAFEPATH"]) == ("/srv/d d", "1")
            assert set(rule.grant.fence.rw) == {"/srv/d d"}
            assert "/etc/hosts" in rule.grant.fence.ro


def test_every_profile_is_tried_here() -> None:
    assert {use.split()[1] for use in USES} == PROFILES.keys()


# --- rsync ----------------------------------------------------------------------------------------

PULLS = [
    "rsync --server --sender -logDtpre.iLsfxCIvu . .",
    "rsync --server --sender -vlogDtprze.iLsfxCIvu . src",
    "rsync --server --sender -vvlogDtpre.iLsfxCIvu . src",
    "rsync --server --sender -ne.LsfxCIvu . /srv/data/src/",
    "rsync --server --sender -lHogDtpAXre.iLsfxCIvu --numeric-ids . a b/c",
    "rsync --server --sender -logDtpre.iLsfxCIvu --bwlimit=100 --timeout=5 -B1000 . src",
    "rsync --server --sender -logDtpre31.14iLsfxCIvu . src",
]
PUSHES = [
    "rsync --server -logDtpre.iLsfxCIvu . dst",
    "rsync --server -logDtpre.iLsfxCIvu --delete-during --force --partial . .",
    "rsync --server -blogDtpre.iLsfxCIvu --backup-dir o --suffix=~ . dst",
    "rsync --server -logDtpre.iLsfxCIvu --link-dest /srv/data/yesterday . /srv/data/today",
    "rsync --server -qlogDtpre.iLsfxCIvu --log-format=%i . dst",
]
RSYNC_ESCAPES = [
    "rsync --server --sender -logDtpre.iLsfxCIvu . /etc",
    "rsync --server --sender -logDtpre.iLsfxCIvu . ../etc",
    "rsync --server --sender -logDtpre.iLsfxCIvu . a/../../etc",
    "rsync --server --sender -logDtpre.iLsfxCIvu . /srv/dataother",
    "rsync --server --sender -logDtpre.iLsfxCIvu . -e",
    "rsync --server --sender -slogDtpre.iLsfxCIvu",
    "rsync --server --sender -slogDtpre.iLsfxCIvu . src",
    "rsync --server --sender -logDtpRe.LsfxCIvu --files-from=- --from0 . .",
    "rsync --server --sender -logDtpRe.LsfxCIvu --files-from=/etc/passwd . .",
    "rsync --server --sender --remove-source-files -re.iLsfxCIvu . src",
    "rsync --server --sender -re.iLsfxCIvu --log-file=/srv/data/x . src",
    "rsync --server --sender -re.iLsfxCIvu --log-file /etc/cron.d/x . src",
    "rsync --server --daemon .",
    "rsync --server --daemon --config=/srv/data/x .",
    "rsync --daemon --config=/srv/data/x",
    "rsync --server --sender -re . src",
    "rsync --server --sender -e sh . src",
    "rsync -e sh src host:",
    "rsync --server --sender --rsh=sh -re.iLsfxCIvu . src",
    "rsync --server --sen -re.iLsfxCIvu . src",
    "rsync src /srv/data",
    "rsync --server --sender -re.iLsfxCIvu . src --config=x",
    "/usr/bin/rsync --server --sender -re.iLsfxCIvu . src",
]
RSYNC_WRITING_ESCAPES = [
    "rsync --server -logDtpre.iLsfxCIvu . /etc/cron.d",
    "rsync --server -logDtpre.iLsfxCIvu --temp-dir /etc . dst",
    "rsync --server -logDtpre.iLsfxCIvu --partial-dir ../x . dst",
    "rsync --server -blogDtpre.iLsfxCIvu --backup-dir /tmp . dst",
    "rsync --server -blogDtpre.iLsfxCIvu --backup-dir=/tmp . dst",
    "rsync --server -logDtpre.iLsfxCIvu --link-dest /etc . dst",
    "rsync --server -logDtpre.iLsfxCIvu --copy-dest ../../etc . dst",
    "rsync --server -blogDtpre.iLsfxCIvu --suffix=/x . dst",
    "rsync --server -logDtpre.iLsfxCIvu --write-batch=x . dst",
    "rsync --server -logDtpre.iLsfxCIvu --log-format=%x . dst",
    "rsync --server -slogDtpre.iLsfxCIvu",
]


def test_rsync_may_read() -> None:
    assert [command for command in PULLS if not takes("%use rsync ro /srv/data", command)] == []
    assert [command for command in PULLS if not takes("%use rsync rw /srv/data", command)] == []


def test_rsync_may_write_where_the_profile_says_so() -> None:
    assert [command for command in PUSHES if takes("%use rsync ro /srv/data", command)] == []
    assert [command for command in PUSHES if not takes("%use rsync rw /srv/data", command)] == []


@pytest.mark.parametrize("mode", ["ro", "rw"])
@pytest.mark.parametrize("command", RSYNC_ESCAPES)
def test_rsync_does_nothing_else(mode: str, command: str) -> None:
    assert not takes(f"%use rsync {mode} /srv/data", command)


@pytest.mark.parametrize("command", RSYNC_WRITING_ESCAPES)
def test_rsync_writes_nowhere_else(command: str) -> None:
    assert not takes("%use rsync rw /srv/data", command)


def test_rsync_takes_names_with_blanks() -> None:
    given = ("rsync", "--server", "-re.iLsfxCIvu", ".", "d s t/x")
    assert permit("%use rsync rw '/srv/a b'", *given).checks[0].path == "/srv/a b/d s t/x"


def test_rsync_is_held_by_the_kernel_in_the_directory() -> None:
    reading = permit("%use rsync ro /srv/data", *PULLS[0].split(" "))
    assert (reading.cwd, reading.fence.noexec, reading.fence.rw) == ("/srv/data", True, ())
    assert "/srv/data" in reading.fence.ro
    writing = permit("%use rsync rw /srv/data", *PUSHES[0].split(" "))
    assert writing.fence.rw == ("/srv/data",)


# --- git ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "command", "allowed"),
    [
        ("ro", "git-upload-pack /srv/git/x.git", True),
        ("ro", "git-upload-pack /srv/git/team/x", True),
        ("ro", "git-upload-archive /srv/git/x.git", True),
        ("ro", "git-receive-pack /srv/git/x.git", False),
        ("rw", "git-receive-pack /srv/git/x.git", True),
        ("rw", "git-receive-pack /srv/gitother/x.git", False),
        ("rw", "git-receive-pack /srv/git/../x.git", False),
        ("rw", "git-upload-pack --help", False),
        ("rw", "git-upload-pack --strict /srv/git/x.git", False),
        ("rw", "git-upload-pack /srv/git/x.git --help", False),
        ("rw", "git-upload-pack ~/x.git", False),
        ("rw", "git-upload-pack /srv/git/x.git;id", True),  # a file of that name, if there is one
        ("rw", "git upload-pack /srv/git/x.git", False),
        ("rw", "git -c core.pager=id log", False),
        ("rw", "git-shell -c id", False),
        ("rw", "git-annex-shell p2pstdio /srv/git/x.git", False),
    ],
)
def test_git_serves_repositories_beneath_the_directory(mode: str, command: str, allowed: bool) -> None:
    """CVE-2017-8386: `git-upload-pack --help` opened a pager."""
    assert takes(f"%use git {mode} /srv/git/**", command) is allowed


def test_git_starts_git_alone() -> None:
    found = permit(
        "%use git rw /srv/git/**", "git-receive-pack", "/srv/git/x.git", env=(("GIT_PROTOCOL", "version=2"),)
    )
    assert found.fence.exec_only is not None
    assert {path.rpartition("/")[2] for path in found.fence.exec_only} == {"git"}
    assert ("GIT_PROTOCOL", "version=2") in found.env


def test_git_without_a_star_is_one_repository() -> None:
    assert takes("%use git ro /srv/git/x.git", "git-upload-pack /srv/git/x.git")
    assert not takes("%use git ro /srv/git/x.git", "git-upload-pack /srv/git/x.git/modules/y")


# --- sftp, borg, Ansible --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "started"),
    [("ro", ("-R", "-d", "/srv/data")), ("rw", ("-d", "/srv/data"))],
)
def test_sftp_is_started_with_the_options_of_the_profile_alone(mode: str, started: tuple[str, ...]) -> None:
    use = f"%use sftp {mode} /srv/data"
    for spelling in ("sftp-server", "/usr/lib/openssh/sftp-server"):
        found = permit(use, spelling)
        assert found.argv == ("/usr/lib/openssh/sftp-server", *started)
        assert found.fence.confined
        assert found.fence.rw == (("/srv/data",) if mode == "rw" else ())
        for more in ("-d /", "-R", "-u 0", "-P all", "-l DEBUG3"):
            assert not takes(use, f"{spelling} {more}")


def test_the_sftp_server_is_looked_for_where_systems_have_it() -> None:
    disk = FakeDisk()
    disk.absent = {"/usr/lib/openssh/sftp-server"}
    assert policy_of("%use sftp ro /srv", disk).rules[0].starts == "/usr/libexec/openssh/sftp-server"


@pytest.mark.parametrize(
    ("said", "started"),
    [
        ("borg serve", ""),
        ("borg serve --umask=077", ""),
        ("borg serve --info", "--info "),
        ("borg serve --debug --umask=077", "--debug "),
    ],
)
def test_borg_is_held_to_the_directory_whatever_it_is_asked(said: str, started: str) -> None:
    append = permit("%use borg append /srv/borg", *said.split(" ")).argv
    assert " ".join(append) == f"borg serve {started}--append-only --restrict-to-path /srv/borg"
    full = permit("%use borg full /srv/borg", *said.split(" ")).argv
    assert " ".join(full) == f"borg serve {started}--restrict-to-path /srv/borg"


@pytest.mark.parametrize(
    "more",
    [
        "--restrict-to-path /",
        "--restrict-to-repository /",
        "--append-only",
        "--storage-quota=1T",
        "--rsh sh",
        "--remote-path sh",
        "--umask=000",
        "--debug-topic=repository",
    ],
)
def test_borg_takes_nothing_that_widens_it(more: str) -> None:
    assert not takes("%use borg append /srv/borg", f"borg serve {more}")
    assert not takes("%use borg append /srv/borg", f"borg {more} serve")


def test_borg_does_nothing_but_serve() -> None:
    assert not takes("%use borg full /srv/borg", "borg delete /srv/borg/x")
    assert not takes("%use borg full /srv/borg", "borg with-lock /srv/borg/x sh")


def test_ansible_is_a_shell_and_warned_of() -> None:
    policy = policy_of("%use ansible")
    assert any(
        problem.severity is Severity.WARNING and "/bin/sh" in problem.text for problem in policy.warnings
    )
    assert takes("%use ansible", "/bin/sh -c id")
    assert not takes("%use ansible", "sh -c id")
    assert takes("%use ansible", "dd of=/root/.ansible/tmp/x bs=65536")
    assert not takes("%use ansible", "dd of=/x if=/y bs=65536")


# --- wrong lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [
        ("%use", 5, "%use needs a profile"),
        ("%use rsnc ro /x", 6, '"rsnc" is no profile of this version'),
        ("%use {word} ro /x", 6, '"word" is no profile of this version'),
        ("%use rsync", 11, "the profile is used as: %use rsync ro|rw DIR"),
        ("%use rsync ro", 14, "the profile is used as: %use rsync ro|rw DIR"),
        ("%use rsync ro /x y", 18, "the profile is used as: %use rsync ro|rw DIR"),
        ("%use rsync append /x", 12, '"append" is not ro or rw'),
        ("%use rsync ro x", 15, '"x" is no absolute path of a directory in its only spelling'),
        ("%use rsync ro /x/", 15, '"/x/" is no absolute path of a directory in its only spelling'),
        ("%use rsync ro /x/**", 15, '"/x/**" is no absolute path of a directory in its only spelling'),
        ("%use rsync ro /", 15, '"/" is no absolute path of a directory in its only spelling'),
        ("%use git ro /**", 13, '"/**" is no absolute path of a directory in its only spelling'),
        ("%use ansible ro", 14, "the profile is used as: %use ansible"),
        ("%use rsync ro /é", 1, "in the rules of this profile: "),
        ("%use sftp ro /srv\n    timeout 3s", 5, "an option without a rule above it"),
    ],
)
def test_a_wrong_use_is_an_error_at_its_place(line: str, column: int, text: str) -> None:
    errors = [problem for problem in refusals(line) if problem.severity is Severity.ERROR]
    assert errors[0].column == column
    assert errors[0].text.startswith(text)
