"""How allowed programs are turned into others: facts of the public catalogue GTFOBins, in words of ours.

Each program is one that the catalogue lists, with the Debian package that has it and the ways in which
it starts another one: as arguments, as what it reads, as keys at its terminal. ``{sing}`` is the program
that must not be started, ``{long}`` a text of many lines, ``{here}`` the directory of them all.
`python -m tests.system.catalogue` prints the packages that are not installed.
"""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

Variables = tuple[tuple[str, str], ...]


class Trick(NamedTuple):
    """One way: arguments, input, variables, and keys, which are typed one by one as output comes."""

    words: tuple[str, ...]
    stdin: str = ""
    keys: tuple[str, ...] = ()
    stays: bool = False  # the program does not end by itself
    told: bool = True  # by a line that names what was not started; else the program does not come so far
    env: Variables = ()
    freely: bool = True  # it starts what it should not, where nothing holds it, on every machine


class Program(NamedTuple):
    """A program, its package and what the rule says of its arguments; typed ones are denied the tricks."""

    name: str
    package: str
    tricks: tuple[Trick, ...]
    patterns: str = "..."

    @property
    def variables(self) -> str:
        """Name the variables of the tricks, for a rule that passes them."""
        return " ".join(name for trick in self.tricks for name, _ in trick.env)


def by(*words: str, stdin: str = "", **more: bool) -> Trick:
    """Make a trick of arguments, and of input."""
    return Trick(words, stdin, **more)


def when(name: str, value: str, *words: str, **more: bool) -> Trick:
    """Make a trick of a variable."""
    return Trick(words, env=((name, value),), **more)


def typed(*words: str, keys: tuple[str, ...], **more: bool) -> Trick:
    """Make a trick of keys at a terminal."""
    return Trick(words, "", keys, True, **more)


def row(name: str, package: str, *tricks: Trick) -> Program:
    return Program(name, package, tricks)


SING = by("{sing}")
SHELL = by("-c", "{sing}")
FROM_WITHIN = "!{sing}\r"
VI = (by("-es", "-c", "!{sing}", "-c", "q!"), by("-es", "-c", "call system('{sing}')", "-c", "q!"))
AWK = (
    by('BEGIN {{ system("{sing}") }}'),
    by('BEGIN {{ "{sing}" | getline x }}'),
    by('BEGIN {{ print "x" | "{sing}" }}'),
)

HELD = (
    # what starts the program that it is given
    row("env", "coreutils", SING, by("-S", "{sing}")),
    row("nice", "coreutils", SING),
    row("nohup", "coreutils", SING),
    row("timeout", "coreutils", by("9", "{sing}")),
    row("stdbuf", "coreutils", by("-i0", "{sing}")),
    row("chroot", "coreutils", by("/", "{sing}")),
    row("flock", "util-linux", by("-u", "{here}", "{sing}"), by("{here}", "-c", "{sing}")),
    row("ionice", "util-linux", SING),
    row("setarch", "util-linux", by("linux64", "{sing}")),
    row("taskset", "util-linux", by("1", "{sing}")),
    row("unshare", "util-linux", SING),
    row("nsenter", "util-linux", SING),
    row("choom", "util-linux", by("-n", "0", "--", "{sing}")),
    row("script", "bsdutils", by("-q", "-c", "{sing}", "/dev/null")),
    row("run-parts", "debianutils", by("--regex=^{name}$", "{here}")),
    row("start-stop-daemon", "dpkg", by("-S", "-x", "{sing}")),
    row("logsave", "logsave", by("/dev/null", "{sing}")),
    row("watch", "procps", by("-x", "{sing}", stays=True)),
    row("time", "time", SING),
    row("strace", "strace", by("-o", "/dev/null", "{sing}", freely=False)),
    row("ltrace", "ltrace", by("-b", "-L", "/bin/sh", "-c", "{sing}", freely=False)),
    row("capsh", "libcap2-bin", by("--", "-c", "{sing}")),
    row("cpulimit", "cpulimit", by("-l", "100", "-f", "--", "{sing}")),
    row("multitime", "multitime", SING),
    row("pexec", "pexec", SING),
    row("softlimit", "daemontools", SING),
    row("setlock", "daemontools", by("{here}/lock", "{sing}")),
    row("rlwrap", "rlwrap", SING),
    row("screen", "screen", by("-D", "-m", "{sing}", stays=True)),
    row("tmux", "tmux", SHELL),
    row("torsocks", "torsocks", SING),
    row("ssh-agent", "openssh-client", SING),
    row("sshpass", "sshpass", SING),
    row("pidstat", "sysstat", by("-e", "{sing}")),
    row("sg", "login", by("root", "-c", "{sing}")),
    row("su", "util-linux", SHELL),
    row("service", "init-system-helpers", by("../../{sing}")),
    row("xargs", "findutils", by("-a", "/dev/null", "{sing}"), by("-n1", "env", stdin="{sing}\n")),
    # shells
    row("bash", "bash", SHELL, by(stdin="{sing}\n"), by("-c", "exec {sing}"), by("-c", "x=$({sing})")),
    row("dash", "dash", SHELL, by(stdin="{sing}\n"), by("-c", "{sing} & wait")),
    row("zsh", "zsh", SHELL, by("-c", "x==({sing})")),
    row("ksh", "ksh93u+m", SHELL),
    row("csh", "csh", SHELL),
    row("yash", "yash", SHELL),
    row("posh", "posh", SHELL),
    row("rc", "rc", SHELL),
    row("sash", "sash", by(stdin="{sing}\n")),
    row("slsh", "slsh", by("-e", 'system("{sing}")')),
    row(
        "busybox",
        "busybox",
        by("sh", "-c", "{sing}"),
        by("env", "{sing}"),
        by("find", "/dev/null", "-exec", "{sing}", ";"),
    ),
    # languages
    row("mawk", "mawk", *AWK),
    row("gawk", "gawk", *AWK),
    row("nawk", "original-awk", *AWK),
    row(
        "perl",
        "perl-base",
        by("-e", 'exec "{sing}"'),
        by("-e", "print `{sing}`"),
        by("-e", 'open F, "{sing}|"'),
    ),
    row(
        "python3",
        "python3-minimal",
        by("-c", "import os; os.system('{sing}')"),
        by("-c", "import os; os.execv('{sing}', ['x'])"),
        by("-c", "import os; os.waitpid(os.posix_spawn('{sing}', ['x'], {{}}), 0)"),
        by(
            "-c",
            "import os; os.execve(os.open('/bin/sh', 0), ['sh', '-c', '{sing}'], {{}})",
        ),
        by("-c", "import os; os.fork() or os.setsid(); os.fork() or os.execv('{sing}', ['x'])"),
    ),
    row("lua5.4", "lua5.4", by("-e", "os.execute('{sing}')"), by("-e", "io.popen('{sing}'):read()")),
    row("tclsh", "tcl", by(stdin="exec {sing}\n"), by(stdin="read [open |{sing}]\n")),
    row("expect", "expect", by("-c", "exec {sing}"), by("-c", "spawn {sing}; expect eof")),
    row("m4", "m4", by(stdin="syscmd(`{sing}')\n"), by(stdin="esyscmd(`{sing}')\n")),
    row("dc", "dc", by("-e", "!{sing}")),
    row("make", "make", by("-s", "--eval=x:\n\t@{sing}", "x"), by("-s", "--eval=$(shell {sing})", "x")),
    row("sqlite3", "sqlite3", by("/dev/null", ".shell {sing}"), by("/dev/null", ".system {sing}")),
    row("pic", "groff-base", by("-U", stdin=".PS\nsh X {sing} X\n.PE\n")),
    row("troff", "groff-base", by("-U", stdin=".sy {sing}\n")),
    row("cowsay", "cowsay", by("-f", "{here}/it.cow", "x")),
    row("cowthink", "cowsay", by("-f", "{here}/it.cow", "x")),
    # what filters, packs and copies
    row(
        "find",
        "findutils",
        by("/dev/null", "-exec", "{sing}", ";"),
        by("{here}/long", "-execdir", "{sing}", ";"),
        by("/dev/null", "-ok", "{sing}", ";", stdin="y\n"),
    ),
    row("sed", "sed", by("-n", "1e {sing}", "{long}"), by("1s|.*|{sing}|e;q", "{long}")),
    row("sort", "coreutils", by("-S", "1b", "--compress-program={sing}", "{long}")),
    row("split", "coreutils", by("--filter={sing}", "{long}")),
    row(
        "tar",
        "tar",
        by("cf", "/dev/null", "/dev/null", "--checkpoint=1", "--checkpoint-action=exec={sing}"),
        by("cf", "{here}/x.tar", "-I", "{sing}", "/dev/null"),
        when("TAR_OPTIONS", "--checkpoint=1 --checkpoint-action=exec={sing}", "cf", "/dev/null", "/dev/null"),
        by("cf", "{here}/y.tar", "-L20", "-F", "{sing}", "{long}"),
        by("xf", "{here}/some.tar", "--to-command={sing}"),
    ),
    row("cpio", "cpio", by("-o", "--rsh-command={sing}", "-F", "localhost:x", stdin="x\n")),
    row("zip", "zip", by("{here}/{name}.zip", "{long}", "-T", "-TT", "{sing} #")),
    row("msgfilter", "gettext", by("{sing}", stdin='msgid "a"\nmsgstr "b"\n')),
    row("rsync", "rsync", by("-e", "{sing}", "127.0.0.1:/x"), when("RSYNC_RSH", "{sing}", "127.0.0.1:/x")),
    row(
        "git",
        "git",
        by("-c", "alias.x=!{sing}", "x"),
        by("-c", "diff.external={sing}", "diff", "--no-index", "--ext-diff", "{long}", "/dev/null"),
        by("-c", "core.sshCommand={sing}", "ls-remote", "ssh://localhost/x"),
        when("GIT_SSH_COMMAND", "{sing}", "ls-remote", "ssh://localhost/x"),
        when("GIT_EXTERNAL_DIFF", "{sing}", "diff", "--no-index", "{long}", "/dev/null"),
    ),
    row("ssh", "openssh-client", by("-F", "none", "-o", "ProxyCommand={sing}", "x")),
    row("scp", "openssh-client", by("-S", "{sing}", "{long}", "x:")),
    row("sftp", "openssh-client", by("-S", "{sing}", "x")),
    row("socat", "socat", by("stdin", "exec:{sing}"), by("stdin", "system:{sing}")),
    row("wget", "wget", by("--use-askpass={sing}", "0")),
    row("lftp", "lftp", by("-c", "!{sing}")),
    row("ftp", "tnftp", by(stdin="!{sing}\nquit\n")),
    row("telnet", "inetutils-telnet", by(stdin="!{sing}\nquit\n")),
    row(
        "tcpdump",
        "tcpdump",
        by(
            "-ln",
            "-i",
            "lo",
            "-w",
            "{here}/{name}",
            "-W",
            "1",
            "-G",
            "1",
            "-z",
            "{sing}",
            "-Z",
            "root",
            stays=True,
            told=False,
            freely=False,
        ),
    ),
    row("tdbtool", "tdb-tools", by(stdin="! {sing}\nquit\n")),
    row("task", "taskwarrior", by("rc:/dev/null", "rc.data.location={here}", "execute", "{sing}")),
    row("scanmem", "scanmem", by(stdin="shell {sing}\nexit\n")),
    row("xdg-user-dir", "xdg-user-dirs", by("}}; {sing} #")),
    # editors and pagers
    row("ed", "ed", by(stdin="!{sing}\nq\n"), by(stdin="r !{sing}\nq\n")),
    row("vi", "vim-tiny", *VI),
    row("view", "vim-tiny", *VI),
    row("ex", "vim-tiny", *VI),
    row("nano", "nano", typed(keys=("\x12\x18", "{sing}\r"))),
    row("pico", "nano", typed(keys=("\x12\x18", "{sing}\r"))),
    row("joe", "joe", typed(keys=("\x0b!", "{sing}\r"))),
    row(
        "less",
        "less",
        typed("{long}", keys=(FROM_WITHIN,)),
        when("LESSOPEN", "|{sing} %s", "{here}/page"),
    ),
    row(
        "man",
        "man-db",
        typed("-P", "{sing}", "-l", "{here}/page", keys=()),
        when("MANPAGER", "{sing}", "-l", "{here}/page", stays=True),
    ),
)

FILES = "{path:{here}/**}"
TYPED = (
    Program(
        "find",
        "findutils",
        (
            *(by("{here}", word, "{sing}", ";") for word in ("-exec", "-execdir", "-ok", "-okdir")),
            by("{here}", "-fprint", "{sing}"),
            by("-files0-from", "{long}"),
            by("{here}", "-name", "x", "-exec", "{sing}", ";"),
        ),
        "{path:{here}/** dir} -name {text}",
    ),
    Program(
        "tar",
        "tar",
        (
            by("cf", "/dev/null", "/dev/null", "--checkpoint=1", "--checkpoint-action=exec={sing}"),
            by("-cf", "{here}/z.tar", "--checkpoint=1", "--checkpoint-action=exec={sing}", "{long}"),
            by("-cf", "{here}/z.tar", "--", "{long}", "--to-command={sing}"),
            by("-cf", "{here}/z.tar", "-I", "{sing}", "{long}"),
            by("-cf", "{here}/z.tar", "--use-compress-prog={sing}", "{long}"),
            by("-cfI", "{here}/z.tar", "{sing}", "{long}"),
        ),
        f"[-z] -cf {FILES} -- {FILES}+",
    ),
    Program(
        "sort",
        "coreutils",
        (
            by("--compress-program={sing}", "{long}"),
            by("--compress-prog={sing}", "{long}"),
            by("--compress-prog", "{sing}", "{long}"),
            by("-nS1b", "--compress={sing}", "{long}"),
            by("-n", "-S1b", "{long}"),
        ),
        f"[-(nru) -k={{int:1..99}}] -- {FILES}",
    ),
    Program("awk", "mawk", AWK, f"'{{ print $1 }}' {FILES}"),
    Program(
        "sed",
        "sed",
        (
            by("-n", "1e {sing}", "{long}"),
            by("-n", "1,5p;1e {sing}", "{long}"),
            by("-n1,5p", "{long}"),
            by("--e=1e{sing}", "{long}"),
        ),
        f"-n {{re:'[0-9]+,[0-9]+p'}} {FILES}",
    ),
    Program(
        "git",
        "git",
        (
            by("-c", "alias.x=!{sing}", "x"),
            by("log", "-c", "core.pager={sing}"),
            by("--paginate", "log"),
            by("log", "--output={sing}"),
            by("log", "--ext-diff"),
            by("-C{here}", "log"),
            by("--exec-path={here}", "log"),
            by("log", "--onel"),
            by("log", "-O{sing}"),
        ),
        "log [--oneline -n={int:1..99}]",
    ),
    Program(
        "rsync",
        "rsync",
        (
            by("-e", "{sing}", "{long}", "x:"),
            by("-ae{sing}", "{long}", "x:"),
            by("-a", "--rsh={sing}", "{long}", "{here}/y"),
            by("-a", "--rs={sing}", "{long}", "{here}/y"),
            by("-a", "--", "{long}", "x:y"),
        ),
        f"[-(av)] -- {FILES} {FILES}",
    ),
    Program(
        "less",
        "less",
        (by("-k{here}/keys", "{long}"), by("+!{sing}", "{long}"), by("--lesskey-src={long}", "{long}")),
        f"[-N] -- {FILES}",
    ),
    Program(
        "zip",
        "zip",
        (
            by("{here}/x.zip", "{long}", "-T", "-TT", "{sing} #"),
            by("-T", "--unzip-command={sing}", "{here}/x.zip", "{long}"),
            by("-qTT", "{sing}", "{here}/x.zip", "{long}"),
        ),
        f"[-q] -- {FILES} {FILES}",
    ),
    Program(
        "tcpdump",
        "tcpdump",
        (
            by("-ln", "-i", "lo", "-z", "{sing}"),
            by("-n", "-c", "1", "-z{sing}"),
            by("-nz", "{sing}"),
            by("-n", "-c1", "-w", "{here}/x"),
        ),
        "[-n -c={int:1..99}]",
    ),
    Program(
        "env", "coreutils", (SING, by("-S", "{sing}"), by("LD_PRELOAD=x", "{sing}"), by("-i", "{sing}")), "[]"
    ),
    Program(
        "ld.so",
        "libc-bin",
        (SING, by("/bin/sh", "-c", "{sing}"), by("--preload", "x", "{sing}")),
        "--version",
    ),
)


def missing(others: list[str]) -> list[str]:
    """Name the packages that have all these programs, and some others, and are not installed."""
    wanted = {program.package for program in (*HELD, *TYPED)} | set(others)
    form = "${Package} ${db:Status-Status}\n"
    found = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True)
    return sorted(
        wanted - {line.split()[0] for line in found.stdout.splitlines() if line.endswith(" installed")}
    )


if __name__ == "__main__":
    print(*missing(sys.argv[1:]))
