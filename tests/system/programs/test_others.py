"""Other programs that call a remote shell, each with the rule that it needs and nothing more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.system.programs.conftest import REXEC_SSH, Far, odd_tree, same_trees

pytestmark = pytest.mark.system
UTF8 = {"LC_ALL": "C.UTF-8"}


def filled(host: Far, name: str = "source") -> Path:
    made = host.near / name
    made.mkdir()
    (made / "two words").write_text("x" * 100_000)
    (made / "deep").mkdir()
    (made / "deep" / "file").write_bytes(os.urandom(100_000))
    return made


def as_ssh(host: Far) -> dict[str, str]:
    """Put a program called ssh in front of the path, as people do for programs that take no other name."""
    folder = host.folder / "bin"
    if not folder.exists():
        folder.mkdir()
        script = folder / "ssh"
        script.write_text(f'#!/bin/sh\nexec {REXEC_SSH} -p {host.port} "$@"\n')
        script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", **UTF8}


def test_subversion(far: Callable[[str], Far]) -> None:
    host = far("svnserve -t = svnserve -t -r {tree}\n")
    host.works("svnadmin", "create", host.tree / "repo")
    env = {**UTF8, "SVN_SSH": f"{REXEC_SSH} -q -p {host.port} --"}
    host.works("svn", "checkout", "-q", "svn+ssh://127.0.0.1/repo", "one", env=env)
    (host.near / "one" / "x").write_text("x")
    host.works("svn", "add", "-q", "x", env=env, cwd=host.near / "one")
    host.works("svn", "commit", "-q", "-m", "a message", env=env, cwd=host.near / "one")
    host.works("svn", "checkout", "-q", "svn+ssh://127.0.0.1/repo", "two", env=env)
    assert (host.near / "two" / "x").read_text() == "x"
    denied = far("echo\n")
    env["SVN_SSH"] = f"{REXEC_SSH} -p {denied.port} --"
    assert "denied: " in denied.fails("svn", "ls", "svn+ssh://127.0.0.1/repo", env=env)


def test_rdiff_backup(far: Callable[[str], Far]) -> None:
    host = far("rdiff-backup server\nrdiff-backup --server\n")
    source, back = filled(host), host.near / "back"
    schema = ("--remote-schema", f"{host.shell} {{h}} rdiff-backup server")
    host.works("rdiff-backup", *schema, "backup", source, f"127.0.0.1::{host.tree}/copy", env=UTF8)
    host.works("rdiff-backup", *schema, "restore", f"127.0.0.1::{host.tree}/copy", back, env=UTF8)
    assert same_trees(source, back)


def test_restic(far: Callable[[str], Far]) -> None:
    """remote-shell.md: "options AFTER the host", `-s sftp`, two connections at once."""
    host = far("%use sftp rw {tree}\n")
    source = filled(host)
    repository = (
        "-r",
        f"sftp:127.0.0.1:{host.tree}/repo",
        "-o",
        f"sftp.command={host.shell} 127.0.0.1 -s sftp",
    )
    env = {**UTF8, "RESTIC_PASSWORD": "x", "XDG_CACHE_HOME": str(host.near / "cache")}
    host.works("restic", *repository, "-q", "init", env=env)
    host.works("restic", *repository, "-q", "backup", "source", env=env)
    host.works("restic", *repository, "-q", "restore", "latest", "--target", "back", env=env)
    assert same_trees(source, host.near / "back" / "source")


def test_unison(far: Callable[[str], Far]) -> None:
    """remote-shell.md: `H -e none unison -server __new-rpc-mode`: options after the host."""
    host = far("unison -server __new-rpc-mode\n")
    source = filled(host)
    env = {**UTF8, "UNISON": str(host.near / "unison")}
    words = ("-sshcmd", REXEC_SSH, "-batch", "-auto", "-silent")
    host.works("unison", source, f"ssh://127.0.0.1:{host.port}/{host.tree}/copy", *words, env=env)
    assert (host.tree / "copy" / "deep" / "file").read_bytes() == (source / "deep" / "file").read_bytes()


def test_duplicity(far: Callable[[str], Far]) -> None:
    """remote-shell.md: `-p P -oBatchMode=yes -l U H rsync --server ...`, by a program called ssh."""
    host = far("%use rsync rw {tree}\n")
    source = filled(host)
    env = {**as_ssh(host), "PASSPHRASE": "x"}
    words = ("--no-encryption", "--archive-dir", str(host.near / "archive"), "--allow-source-mismatch")
    url = f"rsync://root@127.0.0.1:{host.port}/{host.tree}"
    host.works("duplicity", "full", *words, source, url, env=env)
    host.works("duplicity", "restore", *words, url, "back", env=env)
    assert (host.near / "back" / "deep" / "file").read_bytes() == (source / "deep" / "file").read_bytes()


def test_pdsh_clush_and_pssh(far: Callable[[str], Far]) -> None:
    """remote-shell.md: pdsh gives one socket as stdin and stdout; pssh puts options after the host."""
    host = far("uname -s\n")
    options = ("-o", "StrictHostKeyChecking=no")
    lines = host.works(
        "pdsh", "-R", "exec", "-w", "127.0.0.1", *host.shell.split(), *options, "%h", "uname -s"
    )
    assert lines == b"127.0.0.1: Linux\n"
    words = ("-o", f"-p {host.port}", "-w", "127.0.0.1", "-S")
    (host.near / "clush.conf").write_text(f"[Main]\nssh_path: {REXEC_SSH}\n")
    said = host.works("clush", "--conf", host.near / "clush.conf", *words, "uname", "-s", env=UTF8)
    assert said == b"127.0.0.1: Linux\n"
    said = host.works("parallel-ssh", "-i", "-H", "127.0.0.1", "uname -s", env=as_ssh(host))
    assert b"[SUCCESS]" in said
    assert b"Linux\n" in said
    host.fails("clush", "--conf", host.near / "clush.conf", *words, "uname", "-a", env=UTF8)
    assert "denied: " in host.fails("parallel-ssh", "-i", "-H", "127.0.0.1", "uname -a; id", env=as_ssh(host))


def test_lftp(far: Callable[[str], Far]) -> None:
    """remote-shell.md: `-s -l U -p P H sftp`, with a terminal as stderr."""
    host = far("%use sftp rw {tree}\n")
    source = host.near / "source"
    source.mkdir()
    odd_tree(source)
    (source / "link").unlink()
    (source / "new\nline").unlink()  # its own language has none
    lines = (
        "set cmd:fail-exit yes",
        f'set sftp:connect-program "{REXEC_SSH} -a -x"',
        f"open -u root,x sftp://127.0.0.1:{host.port}",
        f"mirror -R {source} {host.tree}/copy",
        f"mirror {host.tree}/copy {host.near}/back",
    )
    host.works("lftp", "-c", "; ".join(lines), env=UTF8)
    assert same_trees(source, host.near / "back")


def test_bup_needs_a_shell(far: Callable[[str], Far]) -> None:
    """remote-shell.md: `H -- 'sh -c '...'`: plain words for the rule of a shell, `--` after the host."""
    host = far("sh -c ...\n    env BUP_DIR={tree}/bup\n")
    source = filled(host)
    env = {**as_ssh(host), "BUP_DIR": str(host.near / "bup")}
    host.works("bup", "init", env=env)
    host.works("bup", "init", "-r", f"127.0.0.1:{host.tree}/bup", env=env)
    host.works("bup", "index", source, env=env)
    host.works("bup", "save", "-r", f"127.0.0.1:{host.tree}/bup", "-n", "one", source, env=env)
    assert b"one" in host.works("bup", "-d", host.tree / "bup", "ls", env=env)


def test_mosh(far: Callable[[str], Far]) -> None:
    """remote-shell.md: `-n -tt H -- 'mosh-server '\\''new'\\'' ...'`; its server lives on."""
    host = far(
        "mosh-server new ...\n    background keep\n    env LANG=C.UTF-8 LC_ALL=C.UTF-8\n    timeout 1m\n"
    )
    words = [
        "--ssh",
        host.shell,
        "--experimental-remote-ip=local",
        "127.0.0.1",
        "--",
        "sh",
        "-c",
        "echo begun; read x; echo got $x",
    ]
    child = pexpect.spawn("mosh", words, env={**host.environment(**UTF8), "TERM": "xterm"}, timeout=60)
    child.expect_exact("begun")
    child.sendline("this")
    child.expect_exact("got this")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_sftp_and_rsync_by_a_program_called_ssh(far: Callable[[str], Far]) -> None:
    """What takes no other name than ssh finds one in front of its path."""
    host = far("%use sftp rw {tree}\n%use rsync rw {tree}\n")
    (host.near / "x").write_text("x")
    host.works("rsync", "x", f"127.0.0.1:{host.tree}/y", env=as_ssh(host))
    assert (host.tree / "y").read_text() == "x"
