"""A lost connection does not lose a command: the client comes back, and nobody notices in the result."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rexec
from tests.cli.prompt.conftest import Prompt, Terminal
from tests.regress.conftest import CLIENT, PATIENCE, Host, processes_of, wait_until
from tests.regress.cuts import Range
from tests.regress.cutting import Fates, Proxy

RULES = """\
cat ...
head ...
sh ...
sleep ...
python3 ...
printf ...
    resume no
"""
SAYS = "import sys; print(sys.stdin.readline().strip(), flush=True); sys.exit(7)"


class Once(Fates):
    """One connection that is cut when a test says so, and then those that are let alone."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for all tests that leave it as it was."""
    host = Host(tmp_path_factory.mktemp("resume"), RULES).start("--resume-reset", "2s")
    yield host
    host.end()


@pytest.fixture
def proxy(place: Host) -> Iterator[Proxy]:
    with Proxy(place, Once()) as found:
        yield found


def started(place: Host, proxy: Proxy, *words: str, **more: object) -> subprocess.Popen[bytes]:
    """Start a command that says `here` when it runs."""
    client = place.popen(
        "sh", "-c", f"echo here; {words[0]}", address=proxy.address, options=words[1:], **more
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"here\n"
    return client


def test_every_transfer_over_connections_that_break_is_whole(tmp_path: Path) -> None:
    """security.md, what rexec promises: "whatever happens to the line, a result is whole or an error"."""
    place = Range(tmp_path, clear=4)
    try:
        with ThreadPoolExecutor(4) as pool:
            trials = list(pool.map(lambda seed: place.trial(seed, 1024 * 1024), range(20)))
    finally:
        place.end()
    assert [trial.note for trial in trials if trial.note] == []
    assert sum(trial.losses for trial in trials) > 8
    assert {trial.status for trial in trials} == {0}


def test_a_command_goes_on_while_its_client_is_away(place: Host, proxy: Proxy) -> None:
    with started(place, proxy, "read x; echo $x; exit 7") as client:
        proxy.cut_all()
        out, err = client.communicate(b"still there\n", PATIENCE)
    assert (client.returncode, out) == (7, b"still there\n")
    assert (
        err
        == f"rexec: 127.0.0.1:{proxy.port}: connection lost: the server closed it; trying again\n".encode()
    )


def test_good_news_are_for_those_who_want_many_words(place: Host, proxy: Proxy) -> None:
    with started(place, proxy, "read x", "-v") as client:
        proxy.cut_all()
        _, err = client.communicate(b"\n", PATIENCE)
    assert re.search(rb": resumed\n$", err)
    place.wait_for("rexec-server: parked user=.* running=1 .*seconds=2.0")
    place.wait_for("rexec-server: resumed user=.* running=1 after=")


def test_quiet_is_quiet(place: Host, proxy: Proxy) -> None:
    with started(place, proxy, "read x", "-q") as client:
        proxy.cut_all()
        assert client.communicate(b"\n", PATIENCE)[1] == b""
    assert client.returncode == 0


def test_a_rule_may_say_that_its_command_ends_with_its_connection(make_host: Callable[..., Host]) -> None:
    """allow-list.md: "`resume no|60s`"."""
    host = make_host("sh ...\n    resume no\n").start()
    with Proxy(host, Once()) as proxy, started(host, proxy, "echo $$; sleep 1000") as client:
        assert client.stdout is not None
        leader = int(client.stdout.readline())
        proxy.cut_all()
        _, err = client.communicate(timeout=PATIENCE)
        assert client.returncode == 255
        assert b"the connection was lost for longer than the rule lets a command wait" in err
    wait_until(lambda: not processes_of(leader), "the command is gone")


def test_a_rule_may_give_its_command_less_time(make_host: Callable[..., Host]) -> None:
    host = make_host("sh ...\n    resume 100ms\n").start()
    with Proxy(host, Once()) as proxy, started(host, proxy, "sleep 1000") as client:
        proxy.shut()
        host.wait_for("rexec-server: end ")
        assert host.count("gave-up") == 0  # the session has still its three seconds
        client.kill()


def test_a_client_may_do_without(place: Host, proxy: Proxy) -> None:
    before = place.count("rexec-server: left .* running=1")
    with started(place, proxy, "sleep 1000", "--no-resume") as client:
        proxy.cut_all()
        _, err = client.communicate(timeout=PATIENCE)
    assert client.returncode == 255
    assert err.endswith(b": connection lost: the server closed it; output incomplete at byte 5\n")
    place.wait_for("rexec-server: left .* running=1", count=before + 1)


def test_what_cannot_be_resumed_is_lost(place: Host, proxy: Proxy) -> None:
    """issue: exit 255 with how much arrived; and the command ends once its time is over."""
    before = place.count("rexec-server: gave-up user=.* running=1 ")
    with started(place, proxy, "sleep 1000") as client:
        proxy.shut()
        _, err = client.communicate(timeout=PATIENCE)
    assert client.returncode == 255
    assert re.search(rb"not resumed: connection refused; output incomplete at byte 5\n$", err), err
    place.wait_for("rexec-server: gave-up user=.* running=1 ", count=before + 1)


def test_a_session_that_the_server_gave_up_is_lost(make_host: Callable[..., Host]) -> None:
    host = make_host("sh ...\n").start("--resume-reset", "1ms")
    with Proxy(host, Once()) as proxy, started(host, proxy, "sleep 1000") as client:
        proxy.cut_all()
        _, err = client.communicate(timeout=PATIENCE)
    assert client.returncode == 255
    assert err.endswith(
        b": the command was started once, and ended before its time; output incomplete at byte 5\n"
    )


def test_a_server_may_do_without(make_host: Callable[..., Host]) -> None:
    host = make_host("sh ...\n").start("--resume-for", "no")
    with Proxy(host, Once()) as proxy, started(host, proxy, "sleep 1000") as client:
        proxy.cut_all()
        _, err = client.communicate(timeout=PATIENCE)
        assert client.returncode == 255
        assert b"trying again" not in err
    host.wait_for('rexec-server: left .* running=1 why="end of file"')


def test_a_server_that_stops_waits_for_nobody(make_host: Callable[..., Host]) -> None:
    host = make_host("sh ...\n").start()
    with Proxy(host, Once()) as proxy, started(host, proxy, "sleep 1000") as client:
        proxy.shut()
        host.wait_for("rexec-server: parked ")
        assert host.stop() == 0
        host.wait_for('rexec-server: gave-up user=.* running=1 why="the server is stopping"')
        client.kill()


def test_ctrl_c_ends_a_client_without_a_connection(place: Host, proxy: Proxy) -> None:
    """cli.md: a client that was interrupted dies of it."""
    with started(place, proxy, "sleep 1000") as client:
        proxy.shut()
        assert client.stderr is not None
        assert b"trying again" in client.stderr.readline()
        client.send_signal(signal.SIGINT)
        assert client.wait(PATIENCE) == -signal.SIGINT


@pytest.fixture
def hasty(make_host: Callable[..., Host]) -> Host:
    """A server that gives up at once whose connection came to an end, and clients that soon miss it."""
    host = make_host("sh ...\n").start("--resume-reset", "1ms")
    config = host.home / "config.toml"
    config.write_text("[client]\nkeepalive = 0.1\n")
    config.chmod(0o600)
    return host


def test_a_silent_connection_is_not_ended_before_the_next_is_there(hasty: Host) -> None:
    """Its FIN would say that the path works, and that who is not back in no time is gone."""
    with Proxy(hasty, Once()) as proxy, started(hasty, proxy, "read x; exit 7") as client:
        proxy.deafen()
        hasty.wait_for("rexec-server: resumed ")
        assert b": connection lost: no answer for " in client.communicate(b"\n", PATIENCE)[1]
        assert client.returncode == 7
    assert hasty.count("rexec-server: (parked|gave-up) ") == 0


def test_a_silent_connection_is_not_ended_in_an_event_loop_either(hasty: Host) -> None:
    async def main() -> None:
        async with await rexec.connect_async(proxy.address, home=hasty.home) as host:
            process = await host.popen(["sh", "-c", "echo here; read x; exit 7"])
            assert await process.stdout.readline() == b"here\n"
            proxy.deafen()
            await asyncio.to_thread(hasty.wait_for, "rexec-server: resumed ")
            await process.stdin.write(b"\n")
            assert (await process.wait()).exit_code == 7
        assert hasty.count("rexec-server: (parked|gave-up) ") == 0

    with Proxy(hasty, Once()) as proxy:
        asyncio.run(main())


@pytest.fixture
def terminal(place: Host, proxy: Proxy) -> Iterator[Callable[..., Terminal]]:
    begun: list[Terminal] = []

    def one(*words: str) -> Terminal:
        begun.append(Terminal([CLIENT, "-t", proxy.address, *words], place.environment(TERM="xterm")))
        return begun[-1]

    yield one
    for client in begun:
        client.end()


def test_a_terminal_goes_on(proxy: Proxy, terminal: Callable[..., Terminal]) -> None:
    client = terminal("sh", "-c", "echo here; read x; echo got $x; exit 3")
    client.wait_for("here")
    proxy.cut_all()
    client.wait_for("trying again\r\n")
    client.type("typed\r")
    client.wait_for("got typed")
    assert client.wait() == 3


def test_a_terminal_without_a_connection_can_be_left(proxy: Proxy, terminal: Callable[..., Terminal]) -> None:
    client = terminal("sh", "-c", "echo here; sleep 1000")
    client.wait_for("here")
    proxy.shut()
    client.wait_for("trying again\r\n")
    client.type("\r~.")
    assert client.wait() == 255


def test_the_python_api_goes_on(place: Host, proxy: Proxy) -> None:
    with rexec.connect(proxy.address, home=place.home) as host:
        process = host.popen(["python3", "-c", SAYS])
        proxy.cut_all()
        process.stdin.write(b"hello\n")
        assert process.stdout.read() == b"hello\n"
        assert process.wait().exit_code == 7
        proxy.cut_all()
        assert host.run(["cat"], input=b"again").stdout == b"again"


def test_the_python_api_in_an_event_loop_goes_on(place: Host, proxy: Proxy) -> None:
    async def main() -> None:
        async with await rexec.connect_async(proxy.address, home=place.home) as host:
            process = await host.popen(["python3", "-c", SAYS])
            proxy.cut_all()
            await process.stdin.write(b"hello\n")
            assert await process.stdout.read() == b"hello\n"
            assert (await process.wait()).exit_code == 7
            data = os.urandom(3_000_000)
            proxy.cut_all()
            assert (await host.run(["cat"], input=data)).stdout == data

    asyncio.run(main())


@pytest.mark.parametrize("way", ["blocking", "in an event loop"])
def test_a_session_that_was_idle_for_too_long_is_begun_anew(make_host: Callable[..., Host], way: str) -> None:
    host = make_host("cat\n").start("--resume-reset", "1ms")
    with Proxy(host, Once()) as proxy:
        if way == "blocking":
            with rexec.connect(proxy.address, home=host.home) as blocking:
                proxy.cut_all()
                host.wait_for("gave-up")
                wait_until(lambda: blocking.run(["cat"], input=b"x").ok, "connected again")
            return

        async def main() -> None:
            async with await rexec.connect_async(proxy.address, home=host.home) as looping:
                proxy.cut_all()
                await asyncio.to_thread(host.wait_for, "gave-up")
                while not (await looping.run(["cat"], input=b"x")).ok:
                    await asyncio.sleep(0)

        asyncio.run(main())


def test_the_prompt_goes_on(place: Host, proxy: Proxy) -> None:
    client = Prompt([CLIENT, proxy.address], place.environment(TERM="xterm", INPUTRC="/dev/null"))
    try:
        client.ready()
        client.type("sh -c 'echo he\"\"re; read x; echo got $x'\r")
        client.wait_for_line("here")
        proxy.cut_all()
        client.wait_for("trying again")
        client.type("typed\r")
        client.wait_for_line("got typed")
    finally:
        client.end()
