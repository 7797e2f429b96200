"""No command runs twice: not over lost connections, not over a server that crashed or was started anew."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rexec
from rexec.client.config import Config, Wishes, resolve
from rexec.client.connect import connect
from rexec.client.identity import no_passphrase, signers
from rexec.client.streams import NullSink
from rexec.protocol import frames as f
from tests.regress.conftest import PATIENCE, Host, wait_until
from tests.regress.cutting import Fate, Fates, Proxy

RULES = """\
sh -c "echo here; exec sleep 1000"
sh -c {any}
    idempotent
cat
    idempotent
"""
HERE = "echo here; exec sleep 1000"


class Uncut(Fates):
    """Connections that are cut when a test says so."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0)


@pytest.fixture
def place(make_host: Callable[..., Host]) -> Host:
    return make_host(RULES).start("--resume-reset", "60s")


def crash(host: Host) -> None:
    """Kill the process that knows what runs; the rest of the server goes with it."""
    os.kill(host.runner_pid(), signal.SIGKILL)
    assert host.process is not None
    assert host.process.wait(PATIENCE) == 1
    host.process = None
    host.addresses.clear()


def again(host: Host, proxy: Proxy, *options: str) -> None:
    """Start the server that a proxy leads to once more."""
    host.start(*options)
    proxy.lead_to(host)


def started(host: Host, proxy: Proxy, script: str, *options: str) -> subprocess.Popen[bytes]:
    return host.popen("sh", "-c", script, address=proxy.address, options=options)


def said(proxy: Proxy, what: str) -> bytes:
    return f"rexec: 127.0.0.1:{proxy.port}: {what}\n".encode()


def test_a_command_whose_server_crashed_is_lost_and_never_run_again(place: Host) -> None:
    """protocol.md 10: "an id with a decision and no end answers `lost` and is never run again"."""
    with Proxy(place, Uncut()) as proxy, started(place, proxy, HERE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"here\n"
        crash(place)
        again(place, proxy)
        out, err = client.communicate(timeout=PATIENCE)
    assert (client.returncode, out) == (255, b"")
    words = "the command was started once, and nobody knows how it ended; output incomplete at byte 5"
    assert err.endswith(said(proxy, words)), err
    assert place.count("rexec-server: allow ") == 1


def test_a_rule_may_say_that_it_may_run_again(place: Host, tmp_path: Path) -> None:
    """allow-list.md: "`idempotent`"."""
    mark, wait = tmp_path / "mark", tmp_path / "wait"
    os.mkfifo(wait)
    script = f"echo ran >> {mark}; read x < {wait}; echo done"
    with Proxy(place, Uncut()) as proxy, started(place, proxy, script) as client:
        wait_until(lambda: mark.exists() and mark.read_text(), "the command runs")
        crash(place)
        again(place, proxy)
        wait.write_text("go\n")
        out, _ = client.communicate(timeout=PATIENCE)
    assert (client.returncode, out) == (0, b"done\n")
    assert mark.read_text() == "ran\nran\n"


def test_what_a_server_never_read_is_started_by_the_next_one(place: Host, tmp_path: Path) -> None:
    """The connection is cut wherever it may be before the welcome: every command runs once, and its client
    has the result."""
    runs = tmp_path / "runs"
    kinds = ("reset", "end", "truncate")

    def run(number: int) -> subprocess.CompletedProcess[bytes]:
        fates = Uncut()
        for turn in range(2):
            fates.add(Fate(kinds[(number + turn) % 3], 150 * number + turn))
        with Proxy(place, fates) as proxy:
            return place.run("sh", "-c", f"echo {number} >> {runs}; echo {number}", address=proxy.address)

    with ThreadPoolExecutor(4) as pool:
        for number, done in enumerate(pool.map(run, range(12))):
            assert (done.returncode, done.stdout) == (0, b"%d\n" % number), done.stderr
    assert sorted(map(int, runs.read_text().split())) == list(range(12))


def test_without_resume_nothing_is_asked_for_twice(place: Host, tmp_path: Path) -> None:
    fates = Uncut()
    fates.add(Fate("reset", 500))
    with Proxy(place, fates) as proxy:
        done = place.run("sh", "-c", "echo x", options=("--no-resume",), address=proxy.address)
        assert proxy.connections == 1
    assert done.returncode == 255
    assert b"trying again" not in done.stderr


def test_what_ran_to_its_end_is_told_of(place: Host, tmp_path: Path) -> None:
    """protocol.md 10: "client: 255, `already ran, status N`": its end was on its way when all was lost."""
    mark, wait = tmp_path / "mark", tmp_path / "wait"
    os.mkfifo(wait)
    with (
        Proxy(place, Uncut()) as proxy,
        started(place, proxy, f"echo {{}}; read x < {wait}; exit 9") as client,
    ):
        assert client.stdout is not None
        assert client.stdout.readline() == b"{}\n"
        proxy.shut_out()
        wait.write_text("go\n")
        place.wait_for("rexec-server: end .*status=9")
        crash(place)
        again(place, proxy)
        proxy.let_in()
        _, err = client.communicate(timeout=PATIENCE)
    assert client.returncode == 255
    assert err.endswith(said(proxy, "already ran, status 9; output incomplete at byte 3")), err
    assert not mark.exists()


def test_input_that_was_sent_cannot_be_sent_again(place: Host) -> None:
    """allow-list.md: "and none of the caller's input was sent": `idempotent` or not, it is not run again."""
    with Proxy(place, Uncut()) as proxy, place.popen("cat", address=proxy.address) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        place.wait_for("rexec-server: allow ")
        client.stdin.write(b"x")
        client.stdin.flush()
        assert client.stdout.read(1) == b"x"
        crash(place)
        again(place, proxy)
        _, err = client.communicate(timeout=PATIENCE)
    assert client.returncode == 255
    assert err.endswith(
        said(
            proxy, "the command was started once, and nobody knows how it ended; output incomplete at byte 1"
        )
    )
    assert place.count("rexec-server: allow ") == 1


@pytest.mark.parametrize("way", ["blocking", "in an event loop"])
def test_a_client_that_goes_while_it_is_away_says_goodbye(
    place: Host, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command ends at once, and not when the time of a lost connection is over."""
    monkeypatch.setattr("rexec.client.resume.PARTING", PATIENCE)
    monkeypatch.setattr("rexec.client.async_resume.PARTING", PATIENCE)
    with Proxy(place, Uncut()) as proxy:
        if way == "blocking":
            target = resolve(proxy.address, Wishes(str(place.home)), Config())
            session = connect(target, signers(str(place.home), (), {}, no_passphrase))
            asked = f.Exec(0, f.Form.ARGV, (b"sh", b"-c", HERE.encode()))
            command = session.start(asked, None, NullSink(), NullSink())
            session.run(lambda: command.started)
            proxy.cut_all()
            session.run(lambda: session.is_away)
            session.close()
        else:
            asyncio.run(leave(place, proxy))
    place.wait_for("rexec-server: left user=.* running=1 why=goodbye")


async def leave(place: Host, proxy: Proxy) -> None:
    host = await rexec.connect_async(proxy.address, home=place.home)
    process = await host.popen(["sh", "-c", HERE])
    assert await process.stdout.readline() == b"here\n"
    proxy.cut_all()
    while host._session._away is None:
        await asyncio.sleep(0)
    await host.close()


# --- the Python API ---------------------------------------------------------------------------------


def test_the_python_api_goes_on_with_a_server_that_was_started_again(place: Host, tmp_path: Path) -> None:
    mark, wait = tmp_path / "mark", tmp_path / "wait"
    os.mkfifo(wait)
    with Proxy(place, Uncut()) as proxy, rexec.connect(proxy.address, home=place.home) as host:
        lost = host.popen(["sh", "-c", HERE])
        assert lost.stdout.readline() == b"here\n"
        kept = host.popen(["sh", "-c", f"echo ran >> {mark}; read x < {wait}; exit 4"])
        wait_until(lambda: mark.exists() and mark.read_text(), "it runs")
        crash(place)
        again(place, proxy)
        wait.write_text("go\n")
        assert kept.wait().exit_code == 4
        result = lost.wait()
        assert (result.state, result.exit_code) == ("lost", 255)
        assert (
            result.error
            == "the command was started once, and nobody knows how it ended; output incomplete at byte 5"
        )
        assert host.run(["cat"], input=b"x").stdout == b"x"
    assert mark.read_text() == "ran\nran\n"


def test_so_it_does_in_an_event_loop(place: Host, tmp_path: Path) -> None:
    mark, wait = tmp_path / "mark", tmp_path / "wait"
    os.mkfifo(wait)

    async def main() -> None:
        with Proxy(place, Uncut()) as proxy:
            async with await rexec.connect_async(proxy.address, home=place.home) as host:
                kept = await host.popen(["sh", "-c", f"echo ran >> {mark}; read x < {wait}; exit 4"])
                lost = await host.popen(["sh", "-c", HERE])
                assert await lost.stdout.readline() == b"here\n"
                await asyncio.to_thread(wait_until, lambda: mark.exists() and mark.read_text(), "it runs")
                await asyncio.to_thread(crash, place)
                await asyncio.to_thread(again, place, proxy)
                await asyncio.to_thread(wait.write_text, "go\n")
                assert (await kept.wait()).exit_code == 4
                assert (await lost.wait()).state == "lost"
                assert (await host.run(["cat"], input=b"x")).stdout == b"x"

    asyncio.run(main())
    assert mark.read_text() == "ran\nran\n"


def test_an_event_loop_connects_through_what_breaks(place: Host) -> None:
    async def main() -> None:
        for number in range(8):
            fates = Uncut()
            fates.add(Fate("reset" if number % 2 else "end", 250 * number))
            with Proxy(place, fates) as proxy:
                async with await rexec.connect_async(proxy.address, home=place.home) as host:
                    assert (await host.run(["cat"], input=b"x")).stdout == b"x"

    asyncio.run(main())
