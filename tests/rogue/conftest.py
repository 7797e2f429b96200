"""A server whose keys the rogue holds: alice's and bob's are authorised, mallory's is not."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.regress.conftest import Host
from tests.rogue.client import PATIENCE, Rogue
from tests.rogue.wire import Key

RULES = """\
true
false
cat
echo ...
sleep ...
sh -c pwd
    cwd ask {folder}/**
sh ...
touch {canary}
expr 7
    detach
"""


def until(true: Callable[[], bool]) -> bool:
    """Look again and again where no event tells, as in /proc; give up after a while.

    What was true once is enough: a second look could fall into the next start.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.001)  # not a yield: whoever is waited for may need the processor
    return False


def public_line(key: Key, user: str) -> str:
    return f'user="{user}" ssh-ed25519 {base64.b64encode(key.blob).decode()} {user}\n'


class Target(Host):
    """A host, the keys that may come in, and a canary: a file that an allowed command would make."""

    def __init__(self, folder: Path) -> None:
        self.canary = folder / "canary"
        super().__init__(folder, RULES.format(canary=self.canary, folder=folder))
        self.at_rest = 0  # descriptors of a server that nobody has talked to
        self.alice, self.bob, self.mallory = Key(), Key(), Key()
        self.home.mkdir(mode=0o700)
        keys = self.home / "authorized_keys"
        keys.write_text(public_line(self.alice, "alice") + public_line(self.bob, "bob"))
        keys.chmod(0o600)

    @property
    def touch(self) -> tuple[bytes, bytes]:
        """The command that makes the canary."""
        return b"touch", os.fsencode(self.canary)

    def rogue(self, *, tls: bool = True) -> Rogue:
        return Rogue(self, tls=tls)

    def friend(self, *, tls: bool = True) -> Rogue:
        """A rogue that came in as alice."""
        return self.rogue(tls=tls).log_in(self.alice)

    def works(self) -> bool:
        """Tell whether an honest client is served."""
        with self.friend() as friend:
            return friend.is_alive()

    def sang(self) -> bool:
        """Tell whether a command made the canary."""
        return self.canary.exists()

    def memory(self) -> int:
        """Return the resident bytes of listener and runner."""
        pages = 0
        for pid in (self.pid, self.runner_pid()):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (self.pid, self.runner_pid()))

    def has_no_traceback(self) -> bool:
        known = ("rexec-server: ", "<end of log>")
        return all(line.startswith(known) and " error what=" not in line for line in list(self.lines))


@pytest.fixture(scope="session")
def make_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Target]]:
    """Start servers; each is ended with the session, and must not have lost its composure."""
    made: list[Target] = []

    def make(*options: str) -> Target:
        target = Target(tmp_path_factory.mktemp("target"))
        made.append(target)
        target.start(*options)
        os.kill(target.pid, signal.SIGHUP)  # who answers to that has opened all it will hold
        target.wait_for("rexec-server: reload result=done")
        target.at_rest = target.descriptors()
        return target

    yield make
    for target in made:
        target.end()
    for target in made:
        assert target.has_no_traceback(), "\n".join(target.lines)


@pytest.fixture(scope="session")
def shared(make_target: Callable[..., Target]) -> Target:
    """The one server of all tests that leave it as it was."""
    return make_target()


@pytest.fixture(scope="session")
def shared_clear(make_target: Callable[..., Target]) -> Target:
    """Likewise, in the clear."""
    return make_target("--no-tls")


@pytest.fixture(scope="session")
def shared_hasty(make_target: Callable[..., Target]) -> Target:
    """Likewise, with a server that gives strangers three seconds: a busy machine needs some for friends."""
    return make_target("--grace", "3s")


@pytest.fixture
def target(shared: Target) -> Iterator[Target]:
    """The shared server, and the promise that it lives after the test and wrote no traceback."""
    shared.canary.unlink(missing_ok=True)
    yield shared
    assert shared.works()
    assert shared.has_no_traceback()


@pytest.fixture
def clear(shared_clear: Target) -> Iterator[Target]:
    """Likewise, in the clear."""
    shared_clear.canary.unlink(missing_ok=True)
    yield shared_clear
    with shared_clear.friend(tls=False) as friend:
        assert friend.is_alive()
    assert shared_clear.has_no_traceback()


@pytest.fixture
def hasty(shared_hasty: Target) -> Iterator[Target]:
    """Likewise, with three seconds for strangers."""
    yield shared_hasty
    assert shared_hasty.works()
    assert shared_hasty.has_no_traceback()
