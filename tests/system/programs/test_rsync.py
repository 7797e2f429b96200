"""rsync over rexec-ssh, with the profile that pins it to a directory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.programs.conftest import Far, odd_tree, same_trees

pytestmark = pytest.mark.system
SERVER_WORDS = "-logDtpre.iLsfxCIvu"


def rsync(host: Far, *words: str | Path) -> bytes:
    return host.works("rsync", "-e", host.shell, *words)


def there(host: Far, name: str = "") -> str:
    return f"127.0.0.1:{host.tree}/{name}"


def test_a_tree_with_odd_names_goes_there_and_back(far: Callable[[str], Far]) -> None:
    host = far("%use rsync rw {tree}\n")
    source, back = host.near / "source", host.near / "back"
    source.mkdir()
    odd_tree(source)
    rsync(host, "-a", f"{source}/", there(host))
    assert same_trees(source, host.tree)
    rsync(host, "-a", there(host), back)
    assert same_trees(source, back)

    (source / "plain").write_text("changed, and longer: rsync compares sizes and whole seconds\n")
    (source / "it's").unlink()
    (source / "two words").rename(source / "three words now")
    said = rsync(host, "-a", "--delete", "-i", "-z", f"{source}/", there(host))
    assert b"*deleting   it's" in said
    assert same_trees(source, host.tree)
    rsync(host, "-a", "--delete", "--partial-dir=.parts", there(host), back)
    assert same_trees(source, back)
    assert rsync(host, "-a", "-i", "--delete", f"{source}/", there(host)) == b""
    rsync(host, "-a", "--checksum", "--stats", "-vv", "--bwlimit=100m", f"{source}/", there(host))


def test_a_run_that_keeps_to_its_directory_tells_of_no_attempt(far: Callable[[str], Far]) -> None:
    """fence.md, Who tells of confine: a line at each run would hide the one that matters."""
    host = far("%use rsync rw {tree}\n")
    (host.near / "x").write_text("x")
    for way in (("x", there(host)), (there(host, "x"), "back")):
        done = host.call("rsync", "-az", "-e", host.shell, *way)
        assert (done.returncode, done.stderr) == (0, b"")


def test_one_file_with_a_blank_in_its_name(far: Callable[[str], Far]) -> None:
    """remote-shell.md: "words with one round of backslashes": `two\\ words`."""
    host = far("%use rsync rw {tree}\n")
    (host.near / "two words").write_text("x")
    rsync(host, "two words", there(host, "new name"))
    assert (host.tree / "new name").read_text() == "x"
    rsync(host, there(host, "new name"), "back again")
    assert (host.near / "back again").read_text() == "x"


def test_what_was_cut_off_is_resumed(far: Callable[[str], Far]) -> None:
    host = far("%use rsync rw {tree}\n")
    source = host.near / "large"
    source.write_bytes(os.urandom(24 << 20))
    words = ["rsync", "--partial", "--inplace", "--bwlimit=8m", "-e", host.shell, str(source), there(host)]
    with subprocess.Popen(words, env=host.environment(), stderr=subprocess.DEVNULL) as first:
        deadline = time.monotonic() + 60
        arrived = host.tree / "large"
        while not (arrived.exists() and arrived.stat().st_size > 1 << 20):
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGINT)
    assert 0 < arrived.stat().st_size < source.stat().st_size
    said = rsync(host, "--partial", "--append-verify", "--stats", source, there(host))
    assert arrived.read_bytes() == source.read_bytes()
    sent = int(
        next(line for line in said.splitlines() if line.startswith(b"Literal data"))
        .split()[2]
        .replace(b",", b"")
    )
    assert sent < source.stat().st_size


def test_reading_alone_is_reading_alone(far: Callable[[str], Far]) -> None:
    host = far("%use rsync ro {tree}\n")
    (host.tree / "x").write_text("x")
    rsync(host, there(host, "x"), ".")
    said = host.fails("rsync", "-e", host.shell, "x", there(host, "y"))
    assert "denied: " in said
    assert "connection unexpectedly closed" in said
    assert not (host.tree / "y").exists()


def test_another_directory_is_denied(far: Callable[[str], Far]) -> None:
    host = far("%use rsync rw {tree}\n")
    for path in (f"{host.outside}/secret", f"{host.tree}/../outside/secret", "/etc/passwd", "~/x", "*"):
        said = host.fails("rsync", "-e", host.shell, f"127.0.0.1:{path}", "got")
        assert "denied" in said or "No such file" in said, said
        assert not (host.near / "got").exists()
    (host.near / "x").write_text("x")
    said = host.fails("rsync", "-e", host.shell, "x", f"127.0.0.1:{host.outside}/x")
    assert "denied: " in said
    assert "is not" in said or "not a path" in said
    assert not (host.outside / "x").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--sender", SERVER_WORDS, ".", "{outside}/secret"),
        ("--sender", SERVER_WORDS, ".", "{tree}/../outside/secret"),
        ("--sender", SERVER_WORDS, "--files-from={outside}/secret", ".", "{tree}/"),
        ("--sender", SERVER_WORDS, "--log-file={outside}/log", ".", "{tree}/"),
        ("--sender", SERVER_WORDS, "--daemon", ".", "{tree}/"),
        ("--daemon", "--config={outside}/secret", "."),
        ("--sender", SERVER_WORDS, "-s", ".", "{tree}/"),
        ("--sender", "-slogDtpre.iLsfxCIvu", ".", "{tree}/"),
        ("--sender", SERVER_WORDS, "--exclude-from={outside}/secret", ".", "{tree}/"),
        (SERVER_WORDS, "--temp-dir", "{outside}", ".", "{tree}/"),
        (SERVER_WORDS, "--backup-dir", "{tree}/../outside", ".", "{tree}/"),
        (SERVER_WORDS, "--link-dest", "{outside}", ".", "{tree}/"),
        (SERVER_WORDS, "--write-batch={outside}/x", ".", "{tree}/"),
        (SERVER_WORDS, "--rsh=touch {outside}/x", ".", "{tree}/"),
        (SERVER_WORDS, "-e", "touch", ".", "{tree}/"),
        (SERVER_WORDS, ".", "{tree}/", "{outside}/"),
        ("--help",),
    ],
)
def test_the_ways_out_that_are_known_are_denied(far: Callable[[str], Far], words: tuple[str, ...]) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs (... `rsync -e`)", those
    that rrsync refuses among them."""
    host = far("%use rsync rw {tree}\n")
    filled = [word.format(tree=host.tree, outside=host.outside) for word in words]
    host.starts_not("rsync", "--server", *filled)
    assert [path.name for path in host.outside.iterdir()] == ["secret"]


def test_a_link_in_the_tree_leads_nowhere(far: Callable[[str], Far]) -> None:
    """security.md, Around the allow list: "Links that leave a root; ... (CVE-2026-53783 in rrsync)"."""
    host = far("%use rsync rw {tree}\n")
    (host.tree / "out").symlink_to(host.outside)
    (host.tree / "file").symlink_to(host.outside / "secret")
    said = host.fails("rsync", "-aL", "-e", host.shell, there(host), "got")
    assert "Permission denied" in said
    assert not any(path.is_file() for path in (host.near / "got").rglob("*"))
    (host.near / "up").mkdir()
    (host.near / "up" / "planted").write_text("x")
    host.fails("rsync", "-rK", "-e", host.shell, "up/", there(host, "out/"))
    host.fails("rsync", "-rK", "--keep-dirlinks", "-e", host.shell, "up/", there(host, "out"))
    assert [path.name for path in host.outside.iterdir()] == ["secret"]


def test_a_daemon_through_the_shell_is_another_command(far: Callable[[str], Far]) -> None:
    host = far("%use rsync rw {tree}\n")
    assert "denied: " in host.fails("rsync", "-e", host.shell, "127.0.0.1::module/x", ".")
