"""``%use``: ready-made rules for programs that call their other side through a remote shell.

A profile is text: the lines of an ordinary allow list, in which the directory of the ``%use`` is put.
Each pins its program, option by option, to that directory, and has the kernel hold it there. The forms
of the commands are the ones that these programs send today; what they could send and is missing here
was left out because it names other files or starts other programs.
"""

from __future__ import annotations

from typing import NamedTuple

from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw
from rexec.policy.spelling import in_braces, spelled
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rexec.policy.tokens import Token


class Profile(NamedTuple):
    """One row: what stands behind its name, and the lines for each mode; "" where there is one only."""

    usage: str
    modes: dict[str, str]

    @property
    def takes_directory(self) -> bool:
        return "DIR" in self.usage

    @property
    def takes_trees(self) -> bool:
        """Whether DIR/** means all beneath, and DIR that directory alone."""
        return "DIR/**" in self.usage


# What whoever looks up names of accounts reads; the kernel would else refuse it under confine.
_ACCOUNTS = "/etc/passwd /etc/group /etc/nsswitch.conf"
_FENCED = "    pty no\n    noexec\n    cwd @DIR@\n"
# The configuration of a library that these programs bring along; the fence would refuse it each time.
_NO_OPENSSL = "OPENSSL_CONF=/dev/null"

# --- rsync: rsync(1), options.c; what rrsync refuses is not here -------------------------------------
# Not here: -s (the arguments come later, unseen), --files-from (so do the names), --log-file, --daemon,
# --config, --write-batch. -K, -k and -L follow links: the fence holds where they lead.

_RSYNC_LETTERS = "vqlLkHogDtpAXrcxWRSuIndyOJUNmEzb"
_RSYNC_COMPATIBILITY = "e={re:'[0-9]*[.][0-9]*[A-Za-z]*'}"  # behind the letters: what the client can do
_RSYNC_BOTH = (
    "--list-only --numeric-ids --safe-links --copy-unsafe-links --inplace --append --stats --size-only"
    " --open-noatime --no-implied-dirs --ignore-missing-args --new-compress --old-compress"
    " --bwlimit={int} --timeout={int} --modify-window={int} --max-size={int} --min-size={int} -B={int}"
    " --compress-level={int} --compress-choice={word} --checksum-choice={word} --checksum-seed={int}"
    " --skip-compress={re:'[A-Za-z0-9/*.,]+'} --iconv={re:'[A-Za-z0-9,_.-]+'} --max-alloc={word}"
    " --suffix={re:'[A-Za-z0-9~._-]{1,32}'} --info={re:'[A-Za-z0-9,]+'} --debug={re:'[A-Za-z0-9,]+'}"
)
_RSYNC_INTO = (
    "--delete --delete-before --delete-during --delete-delay --delete-after --delete-excluded"
    " --delete-missing-args --force --ignore-errors --max-delete={int} --existing --ignore-existing"
    " --partial --delay-updates --preallocate --mkpath --no-super --super --remove-source-files"
    " --log-format={X|'%i'|'%o'|'%i%I'}"
    " --usermap={re:'[A-Za-z0-9_.:,*-]+'} --groupmap={re:'[A-Za-z0-9_.:,*-]+'}"
    " --backup-dir {path:@TREE@ rw} --partial-dir {path:@TREE@ rw} --temp-dir {path:@TREE@ rw}"
    " --link-dest {path:@TREE@ ro} --copy-dest {path:@TREE@ ro} --compare-dest {path:@TREE@ ro}"
)
_RSYNC_READS = f"""\
rsync --server --sender [-({_RSYNC_LETTERS}){_RSYNC_COMPATIBILITY} {_RSYNC_BOTH}]* . {{path:@TREE@ ro}}+
{_FENCED}    env {_NO_OPENSSL}
    confine ro {_ACCOUNTS}
"""
_RSYNC_WRITES = f"""\
rsync --server [-({_RSYNC_LETTERS}K){_RSYNC_COMPATIBILITY} {_RSYNC_BOTH} {_RSYNC_INTO}]* . {{path:@TREE@ rw}}
{_FENCED}    env {_NO_OPENSSL}
    confine ro {_ACCOUNTS}
"""

# --- git: git-shell(1), git-upload-pack(1), git-receive-pack(1) --------------------------------------
# No options at all: --upload-pack's own --help started a pager once (CVE-2017-8386). Hooks and filters
# of a repository are programs like any other and are not started.

_GIT = """\
    pty no
    env pass GIT_PROTOCOL
    env GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent 'XDG_CONFIG_HOME=/nonexistent'
    exec-only @GIT@
"""
_GIT_READS = f"""\
git-upload-pack {{path:@TREE@ ro}}
{_GIT}    confine ro {_ACCOUNTS}
git-upload-archive {{path:@TREE@ ro}}
{_GIT}    confine ro {_ACCOUNTS}
"""
_GIT_WRITES = f"""\
git-receive-pack {{path:@TREE@ rw}}
{_GIT}    confine ro {_ACCOUNTS}
"""

# --- sftp: sftp-server(8); it checks no path of its own, so the fence is what holds it ---------------

_SFTP = f"""\
sftp-server [] = @SFTP@ @ONLY@-d @DIR@
{_FENCED}    confine ro @RO@
@SFTP@ [] = @SFTP@ @ONLY@-d @DIR@
{_FENCED}    confine ro @RO@
"""

# --- borg: borg-serve(1); what a client says of directories and quotas is denied ----------------
# It asks for the name of its machine at each start, and tries where temporary files can be made; Python
# looks for modules beside the program, unless it is told not to.

_NAMES = "/etc/hosts /etc/host.conf /etc/resolv.conf"
_BORG_SAID = ("", " --info", " --debug", " --error", " --critical")
_BORG = "".join(
    f"borg serve{said}{umask} = borg serve{said} @ONLY@--restrict-to-path @DIR@\n"
    f"{_FENCED}    env @BASE@ @TEMPORARY@ PYTHONSAFEPATH=1 {_NO_OPENSSL}\n"
    f"    confine ro {_ACCOUNTS} {_NAMES} rw @DIR@\n"
    for said in _BORG_SAID
    for umask in ("", " --umask=077")  # versions before 1.2 say it
)

# --- Ansible: every module is a script that /bin/sh is given -----------------------------------------

_ANSIBLE = """\
/bin/sh -c ...
    about "Ansible: whatever its modules say"
sftp-server [] = @SFTP@
    about "Ansible: where its modules are put"
dd {re:'of=.+'} bs=65536
    about "Ansible: the same, without sftp (ansible_ssh_transfer_method=piped)"
dd {re:'if=.+'} bs=65536
    about "Ansible: what it fetches"
"""

_SFTP_PLACES = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
)
_GIT_PLACES = ("/usr/bin/git", "/usr/lib/git-core/git", "/usr/libexec/git-core/git")

PROFILES = {
    "ansible": Profile("ansible", {"": _ANSIBLE}),
    "borg": Profile(
        "borg append|full DIR",
        {"append": _BORG.replace("@ONLY@", "--append-only "), "full": _BORG.replace("@ONLY@", "")},
    ),
    "git": Profile("git ro|rw DIR/**", {"ro": _GIT_READS, "rw": _GIT_READS + _GIT_WRITES}),
    "rsync": Profile("rsync ro|rw DIR", {"ro": _RSYNC_READS, "rw": _RSYNC_READS + _RSYNC_WRITES}),
    "sftp": Profile(
        "sftp ro|rw DIR",
        {
            "ro": _SFTP.replace("@ONLY@", "-R ").replace("@RO@", f"@DIR@ {_ACCOUNTS}"),
            "rw": _SFTP.replace("@ONLY@", "").replace("@RO@", f"{_ACCOUNTS} rw @DIR@"),
        },
    ),
}
_BEST_EFFORT = "best-effort"


def expand(word: Token, values: Sequence[Token], is_there: Callable[[str], bool]) -> tuple[str, ...]:
    """Give the lines that a ``%use`` stands for; `is_there` tells whether a path is that of a program."""
    if not values:
        raise Flaw(word.end + 1, "%use needs a profile", f"one of {' '.join(PROFILES)}")
    name, *rest = values
    profile = PROFILES.get(name.text) if name.is_literal else None
    if profile is None:
        near = closest(name.text, PROFILES)
        hint = f"did you mean {near}?" if near else f"one of {' '.join(PROFILES)}"
        raise Flaw(name.column, f"{quoted(name.text)} is no profile of this version", hint)
    best_effort = bool(rest) and rest[-1].is_word(_BEST_EFFORT)
    filled = _filled(profile, name, rest[: len(rest) - best_effort])
    return tuple(_lines(_programs(filled, is_there), best_effort))


def _filled(profile: Profile, name: Token, values: Sequence[Token]) -> str:
    """Take the mode and the directory, as far as the profile has them."""
    wanted = (profile.modes.keys() != {""}) + profile.takes_directory
    usage = f"%use {profile.usage}"
    if len(values) != wanted:
        column = values[wanted].column if len(values) > wanted else [name, *values][-1].end + 1
        raise Flaw(column, f"the profile is used as: {usage}")
    if not wanted:
        return profile.modes[""]
    mode, place = values
    text = profile.modes.get(mode.text) if mode.is_literal else None
    if text is None:
        raise Flaw(mode.column, f"{quoted(mode.text)} is not {' or '.join(profile.modes)}", usage)
    return _placed(profile, text, place)


def _placed(profile: Profile, text: str, place: Token) -> str:
    directory = place.text.removesuffix("/**") if profile.takes_trees else place.text
    if not place.is_literal or not is_canonical(directory) or directory == "/" or "*" in directory:
        what = f"{quoted(place.text)} is no absolute path of a directory in its only spelling"
        raise Flaw(place.column, what, f"%use {profile.usage}")
    tree = place.text if profile.takes_trees else f"{directory}/**"
    base, temporary = spelled(f"BORG_BASE_DIR={directory}/.borg-base"), spelled(f"TMPDIR={directory}")
    text = text.replace("@BASE@", base).replace("@TEMPORARY@", temporary)
    return text.replace("@TREE@", in_braces(tree)).replace("@DIR@", spelled(directory))


def _programs(text: str, is_there: Callable[[str], bool]) -> str:
    """Put in the programs that stand elsewhere on each system; the first place, where there is none."""
    sftp = next(filter(is_there, _SFTP_PLACES), _SFTP_PLACES[0])
    git = [*filter(is_there, _GIT_PLACES)] or _GIT_PLACES[:1]
    return text.replace("@SFTP@", sftp).replace("@GIT@", " ".join(git))


def _lines(text: str, best_effort: bool) -> Iterator[str]:
    """Give the lines; with `best_effort`, it stands below each rule that asks the kernel for something."""
    for line in text.splitlines():
        yield line
        if best_effort and line.startswith("    confine "):
            yield f"    {_BEST_EFFORT}"
