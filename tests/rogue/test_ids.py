"""What somebody can do with the ids of commands: nothing runs twice, and nobody learns of another's."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rogue import wire
from tests.rogue.client import Rogue
from tests.rogue.conftest import Target
from tests.rogue.sayings import shown_out
from tests.rogue.test_resume import ALREADY_RAN, LOST, enter, repeated
from tests.rogue.wire import Key


def ask(rogue: Rogue, number: int, *words: bytes, channel: int = 1, **fields: object) -> None:
    rogue._number = max(rogue._number, number)
    frame = wire.exec_(number, *words, **fields)  # type: ignore[arg-type]
    rogue.send(wire.frame(wire.EXEC, frame, channel=channel))


def ran(target: Target, session: bytes, number: int, *words: bytes) -> None:
    """Have a command run to its end, and its client lost without a word."""
    rogue, _, _ = enter(target, target.alice, session)
    with rogue:
        ask(rogue, number, *words)
        assert rogue.outcome()[0] == wire.EXIT


def later(target: Target, key: Key, session: bytes) -> Rogue:
    """Come in by the name of a session that the server has given up, or does as soon as we are gone again."""
    while True:
        rogue, resumed, _ = enter(target, key, session)
        if not resumed:
            return rogue
        rogue.socket.close()


@pytest.fixture(scope="module")
def impatient(make_target: Callable[..., Target]) -> Target:
    """A server that gives a client up as soon as its connection is closed."""
    return make_target("--resume-reset", "1ms")


def test_a_command_that_ended_is_told_of(target: Target) -> None:
    """protocol.md 10: "Finished and acknowledged: `Exit` with `output_kept = no`"."""
    session = os.urandom(16)
    rogue, _, _ = enter(target, target.alice, session)
    with rogue:
        ask(rogue, 1, b"sh", b"-c", b"exit 7")
        assert rogue.outcome()[0] == wire.EXIT
        ask(rogue, 1, b"sh", b"-c", b"exit 7")
        told = repeated(rogue)
        assert (told.cause, told.status) == (ALREADY_RAN, 7)
        assert rogue.is_alive()


def test_it_is_told_of_in_a_later_session_too(impatient: Target) -> None:
    session = os.urandom(16)
    ran(impatient, session, 1, b"sh", b"-c", b"kill -9 $$")
    with later(impatient, impatient.alice, session) as rogue:
        ask(rogue, 1, b"sh", b"-c", b"kill -9 $$")
        told = repeated(rogue)
        assert (told.cause, told.status, told.signal) == (ALREADY_RAN, 137, b"KILL")


def test_a_detached_command_is_started_once(impatient: Target) -> None:
    """Issue: "Exactly once: the id of an `Exec` makes a retry safe", of what runs on as well."""
    session = os.urandom(16)
    rogue, _, _ = enter(impatient, impatient.alice, session)
    with rogue:
        ask(rogue, 1, b"expr", b"7", detach=1, stdin=0)
        kind, _, output = rogue.outcome()
        assert kind == wire.EXIT
    with later(impatient, impatient.alice, session) as rogue:
        ask(rogue, 1, b"expr", b"7", detach=1, stdin=0)
        assert repeated(rogue).cause == ALREADY_RAN
        ask(rogue, 1, b"expr", b"7", stdin=0, channel=2)
        assert shown_out(rogue) == b"Exec 1 came again with other contents"
    assert [name.encode() + b"\n" for name in os.listdir(impatient.home / "jobs")] == [output]


@pytest.mark.parametrize("way", ["running", "ended", "a later session"])
def test_a_known_id_with_other_contents_is_an_error(impatient: Target, way: str) -> None:
    """protocol.md 10: "Known with other contents: protocol error"."""
    session = os.urandom(16)
    if way == "a later session":
        ran(impatient, session, 1, b"true")
    with later(impatient, impatient.alice, session) as rogue:
        if way != "a later session":
            ask(rogue, 1, b"cat" if way == "running" else b"true")
            rogue.expect(wire.STARTED, 1) if way == "running" else rogue.outcome()
        ask(rogue, 1, *impatient.touch, channel=2)
        assert shown_out(rogue) == b"Exec 1 came again with other contents"
    assert not impatient.sang()
    assert impatient.works()


def test_another_users_ids_are_not_theirs(impatient: Target) -> None:
    """security.md, "Resume: another user's session id": bob's command runs, whatever alice ran by that id."""
    session = os.urandom(16)
    ran(impatient, session, 1, b"true")
    with later(impatient, impatient.alice, session), later(impatient, impatient.bob, session) as bob:
        ask(bob, 1, b"sh", b"-c", b"exit 3")
        kind, body, _ = bob.outcome()
        told = wire.Exit(body)
        assert (kind, told.cause, told.status) == (wire.EXIT, 0, 3)


@pytest.mark.parametrize("fields", [{"stdout_from": 1}, {"stdout_from": 2**64 - 1}])
def test_a_command_that_was_begun_elsewhere_is_not_begun_here(
    target: Target, fields: dict[str, object]
) -> None:
    """An offset says that the command was started once: it is told of, and never started."""
    rogue, _, _ = enter(target, target.alice, os.urandom(16))
    with rogue:
        ask(rogue, 5, *target.touch, **fields)
        told = repeated(rogue)
        assert told.cause == LOST
        assert told.message == b"the command was started once, and this server knows nothing of it"
        assert rogue.is_alive()
    assert not target.sang()


def test_a_client_that_never_comes_back_has_nothing_kept(target: Target) -> None:
    """Without the feature an id is used once in its connection, and not known beyond it."""
    session = os.urandom(16)
    for _ in range(2):
        with target.rogue() as rogue:
            rogue.say_hello(wire.client_hello(session))
            rogue.hear_hello()
            rogue.send(rogue.proof_frame(target.alice))
            rogue.expect(wire.WELCOME)
            ask(rogue, 1, b"sh", b"-c", b"exit 4")
            assert wire.Exit(rogue.outcome()[1]).status == 4
            ask(rogue, 1, b"sh", b"-c", b"exit 4")
            assert repeated(rogue).cause == ALREADY_RAN


# --- a server that was killed -----------------------------------------------------------------------


@pytest.fixture
def own(make_target: Callable[..., Target]) -> Target:
    return make_target()


def kill(target: Target) -> None:
    """End the runner, and with it the server, without any order."""
    os.kill(target.runner_pid(), signal.SIGKILL)
    assert target.process is not None
    target.process.wait()
    target.process = None
    target.addresses.clear()


def ids(target: Target) -> Path:
    (path,) = (target.home / "ids").iterdir()
    return path


def test_after_a_crash_the_ids_are_known(own: Target) -> None:
    """protocol.md 10: "The ids of the last hour stand on disk with the audit decision and are read at start;
    an id with a decision and no end answers `lost` and is never run again". Half a record is none."""
    session = os.urandom(16)
    ran(own, session, 1, b"sh", b"-c", b"exit 7")
    with enter(own, own.alice, session, received=2)[0] as rogue:
        ask(rogue, 2, b"cat")
        rogue.expect(wire.STARTED, 1)
        kill(own)
    with ids(own).open("ab") as file:
        file.write(b"half a record")
    own.start()
    rogue, resumed, _ = enter(own, own.alice, session)
    with rogue:
        assert not resumed
        ask(rogue, 1, b"sh", b"-c", b"exit 7")
        told = repeated(rogue)
        assert (told.cause, told.status) == (ALREADY_RAN, 7)
        ask(rogue, 2, b"cat")
        told = repeated(rogue)
        assert (told.cause, told.message) == (
            LOST,
            b"the command was started once, and nobody knows how it ended",
        )
        ask(rogue, 3, b"true")
        assert wire.Exit(rogue.outcome()[1]).cause == 0
    other = enter(own, own.bob, session)[0]
    with other:
        ask(other, 2, b"true")
        assert wire.Exit(other.outcome()[1]).cause == 0


@pytest.mark.parametrize("what", ["a link", "readable by others"])
def test_a_server_whose_ids_others_could_have_written_does_not_start(own: Target, what: str) -> None:
    """security.md, "Key files: ... refused when others may read or write them; a planted link"."""
    path = ids(own)
    assert own.stop() == 0
    if what == "a link":
        path.rename(own.folder / "elsewhere")
        path.symlink_to(own.folder / "elsewhere")
        assert "is a symbolic link that is not followed" in own.refuses()
        path.unlink()
    else:
        path.chmod(0o644)
        assert "others may read or write it" in own.refuses()
        path.chmod(0o600)
    own.start()


def test_a_full_disk_refuses_those_who_may_ask_again(own: Target) -> None:
    """Nothing runs whose id cannot be kept; who never asks again is served."""
    resource.prlimit(own.runner_pid(), resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    rogue, _, _ = enter(own, own.alice, os.urandom(16))
    with rogue:
        ask(rogue, 1, *own.touch)
        kind, body, _ = rogue.outcome()
        assert kind == wire.DENIED
        why = b"the ids of commands cannot be kept (file too large): only clients with --no-resume are served"
        assert wire.first_string(body) == why
        assert not own.sang()
        assert own.works()
        resource.prlimit(own.runner_pid(), resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        ask(rogue, 2, *own.touch)
        assert wire.Exit(rogue.outcome()[1]).status == 0
    assert own.sang()
