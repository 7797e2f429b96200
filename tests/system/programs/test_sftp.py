"""scp and sftp of OpenSSH over rexec-ssh, with the profile that pins sftp-server to a directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.programs.conftest import REXEC_SSH, Far, odd_tree, same_trees

pytestmark = pytest.mark.system


def scp(host: Far, *words: str | Path) -> list[str]:
    return ["scp", "-q", "-S", REXEC_SSH, "-P", str(host.port), *map(os.fspath, words)]


def sftp(host: Far, commands: str) -> tuple[int, str]:
    words = ["sftp", "-q", "-S", REXEC_SSH, "-P", str(host.port), "-b", "-", "127.0.0.1"]
    done = host.call(*words, input=commands.encode())
    return done.returncode, (done.stdout + done.stderr).decode()


def test_scp_copies_there_and_back(far: Callable[[str], Far]) -> None:
    host = far("%use sftp rw {tree}\n")
    source = host.near / "source"
    source.mkdir()
    odd_tree(source)
    (source / "link").unlink()  # scp follows links
    host.works(*scp(host, "-r", "-p", source, f"127.0.0.1:{host.tree}/copy"))
    assert same_trees(source, host.tree / "copy")
    host.works(*scp(host, "-r", "-p", f"127.0.0.1:{host.tree}/copy", host.near / "back"))
    assert same_trees(source, host.near / "back")
    host.works(*scp(host, "-3", f"127.0.0.1:{host.tree}/copy/large", f"127.0.0.1:{host.tree}/again"))
    assert (host.tree / "again").read_bytes() == (source / "large").read_bytes()


def test_a_batch_of_sftp(far: Callable[[str], Far]) -> None:
    host = far("%use sftp rw {tree}\n")
    (host.near / "two words").write_bytes(os.urandom(1 << 20))
    code, said = sftp(
        host,
        f"""cd {host.tree}
mkdir made
put "two words" made/new
chmod 640 made/new
rename made/new made/newer
ls -l made
get made/newer back
rm made/newer
rmdir made
""",
    )
    assert code == 0, said
    assert (host.near / "back").read_bytes() == (host.near / "two words").read_bytes()
    assert "newer" in said
    assert not (host.tree / "made").exists()


def test_another_directory_is_denied(far: Callable[[str], Far]) -> None:
    host = far("%use sftp rw {tree}\n")
    (host.tree / "link").symlink_to(host.outside / "secret")
    for path in (
        f"{host.outside}/secret",
        f"{host.tree}/link",
        f"{host.tree}/../outside/secret",
        "/etc/shadow",
    ):
        said = host.fails(*scp(host, f"127.0.0.1:{path}", "got"))
        assert "Permission denied" in said or "No such file" in said, said
        assert not (host.near / "got").exists()
    code, said = sftp(host, f"-symlink {host.outside} {host.tree}/out\nget {host.tree}/out/secret got\n")
    assert code != 0
    assert "denied" in said
    assert not (host.near / "got").exists()
    (host.near / "x").write_text("x")
    host.fails(*scp(host, "x", f"127.0.0.1:{host.outside}/x"))
    assert not (host.outside / "x").exists()


def test_reading_alone_is_reading_alone(far: Callable[[str], Far]) -> None:
    host = far("%use sftp ro {tree}\n")
    (host.tree / "x").write_text("x")
    host.works(*scp(host, f"127.0.0.1:{host.tree}/x", "got"))
    said = host.fails(*scp(host, "got", f"127.0.0.1:{host.tree}/y"))
    assert "denied" in said
    for command in ("rm x", "mkdir d", "rename x y", "chmod 777 x", "ln -s a b"):
        code, said = sftp(host, f"cd {host.tree}\n{command}\n")
        assert code != 0, command
        assert "denied" in said
    assert [path.name for path in host.tree.iterdir()] == ["x"]


def test_without_the_rule_the_line_names_it(far: Callable[[str], Far]) -> None:
    host = far("ls\n")
    said = host.fails(*scp(host, "-v", f"127.0.0.1:{host.tree}/x", "got"))
    assert "denied: " in said
    assert "sftp-server" in said


@pytest.mark.parametrize(
    "words",
    [
        ("sftp-server", "-d", "/"),
        ("sftp-server", "-R"),
        ("sftp-server", "-P", "open"),
        ("sftp-server", "-h"),
        ("/usr/lib/openssh/sftp-server", "-d", "/"),
        ("scp", "-t", "{tree}/x"),
        ("scp", "-f", "/etc/passwd"),
    ],
)
def test_options_of_the_server_are_not_the_clients(far: Callable[[str], Far], words: tuple[str, ...]) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs"; `sftp -o`."""
    host = far("%use sftp rw {tree}\n")
    host.starts_not(*(word.format(tree=host.tree) for word in words))


def test_the_old_way_of_scp_is_its_own_rule(far: Callable[[str], Far]) -> None:
    host = far("scp -t {{path:{tree}/** rw}}\n    noexec\n    confine ro /etc/passwd /etc/nsswitch.conf\n")
    (host.near / "x y").write_text("x")
    host.works(*scp(host, "-O", "x y", f"127.0.0.1:{host.tree}/z"))
    assert (host.tree / "z").read_text() == "x"
    said = host.fails(*scp(host, "-O", "x y", f"127.0.0.1:{host.outside}/z"))
    assert "denied: " in said
