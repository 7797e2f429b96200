"""On a fresh machine a server and a client need nothing but each other."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.regress.conftest import KEYGEN, RULES, Host

pytestmark = pytest.mark.usefixtures("cold")


class FreshHost(Host):
    """A host whose user has an empty HOME, and no word of rexec in the environment."""

    def __init__(self, folder: Path, rules: str) -> None:
        super().__init__(folder, rules)
        self.home = folder / ".rexec"

    def environment(self, **more: str) -> dict[str, str]:
        found = super().environment(**more)
        del found["REXEC_HOME"]
        return found


@pytest.fixture
def fresh(tmp_path: Path):  # type: ignore[no-untyped-def]
    host = FreshHost(tmp_path, RULES)
    yield host
    host.end()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("options", [(), ("--no-tls",)], ids=["tls", "clear"])
def test_two_commands_and_nothing_else(fresh: Host, options: tuple[str, ...]) -> None:
    """cli.md: "So, on a fresh machine, in two terminals and with no other step"."""
    fresh.start(*options)
    done = fresh.run("ls", "-l", options=options, cwd=fresh.folder)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"total ")
    assert fresh.count("rexec-server: made ") == 2
    assert fresh.count("rexec-server: authorised SHA256:") == 1


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_what_is_made_is_for_the_user_alone(fresh: Host, umask: int) -> None:
    """security.md: "Key files: created 0600 with O_EXCL under any umask"."""
    fresh.start(umask=umask)
    assert stat.S_IMODE(fresh.home.stat().st_mode) == 0o700
    found = modes(fresh.home)
    assert found["id_ed25519"] == found["host_ed25519"] == 0o600
    assert found["authorized_keys"] == 0o600
    assert not any(mode & 0o022 for mode in found.values())


def test_a_second_start_uses_what_the_first_one_made(fresh: Host) -> None:
    """cli.md: "a server without a host key makes one"; one that has it, has it."""
    first = fresh.start().fingerprint
    before = {path.name: path.read_bytes() for path in fresh.home.iterdir() if path.is_file()}
    assert fresh.stop() == 0
    assert fresh.start().fingerprint == first
    assert {path.name: path.read_bytes() for path in fresh.home.iterdir() if path.is_file()} == before
    assert fresh.run("true").returncode == 0
    assert fresh.count("rexec-server: made ") == 2


def test_an_existing_key_is_used_and_never_replaced(fresh: Host) -> None:
    """cli.md: "an existing `id_ed25519` is used, never replaced"."""
    fresh.home.mkdir(mode=0o700)
    own = fresh.home / "id_ed25519"
    subprocess.run([KEYGEN, "-f", own, "-N", ""], env=fresh.environment(), check=True, capture_output=True)
    before = own.read_bytes()
    fresh.start()
    assert own.read_bytes() == before
    assert fresh.run("true").returncode == 0


def test_an_empty_authorized_keys_counts_as_there(fresh: Host) -> None:
    """cli.md: "an empty `authorized_keys` counts as there"."""
    fresh.home.mkdir(mode=0o700)
    (fresh.home / "authorized_keys").touch(0o600)
    fresh.start()
    assert not (fresh.home / "id_ed25519").exists()
    assert (fresh.home / "authorized_keys").read_bytes() == b""
    assert fresh.object("true")["state"] == "unauthenticated"


@pytest.mark.parametrize("option", ["--authorized-keys", "--host-key", "--config"])
def test_a_named_file_that_is_missing_is_exit_2(fresh: Host, option: str) -> None:
    """cli.md: "a file named by an option and missing is exit 2"."""
    missing = str(fresh.folder / "missing")
    assert missing in fresh.refuses(option, missing)
    assert not os.path.exists(missing)
    assert not (fresh.home / "id_ed25519").exists()


def test_a_missing_or_wrong_allow_list_is_exit_2(fresh: Host) -> None:
    """cli.md: "A missing or wrong allow list ...: one line, exit 2"."""
    fresh.allow_list.write_text("ls\ncat /var/log/*\n")
    assert "cmds.txt:2" in fresh.refuses()
    fresh.allow_list.unlink()
    assert "cmds.txt" in fresh.refuses()
    assert not (fresh.home / "id_ed25519").exists()
