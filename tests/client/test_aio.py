"""`rexec.connect_async` against a real server: many commands at once, streams, cancellation, loss."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import socket
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import rexec
from rexec.limits import CHANNELS_PER_SESSION, WINDOW_MAX
from tests.regress.conftest import PATIENCE, Host

BULK = 64 * 1024 * 1024

Test = Callable[[rexec.AsyncHost], Coroutine[Any, Any, None]]


def with_host(server: Host, test: Test, *, tls: bool = True) -> None:
    """Run a coroutine with a connection to a server."""

    async def main() -> None:
        async with await rexec.connect_async(server.address, home=server.home, tls=tls) as web:
            await test(web)

    asyncio.run(main())


# --- connecting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--no-tls",)], ids=["tls", "in the clear"])
def test_a_host_knows_its_name_and_who_we_are(
    make_host: Callable[..., Host], options: tuple[str, ...]
) -> None:
    server = make_host().start(*options)

    async def test(web: rexec.AsyncHost) -> None:
        assert (await web.run(["printf", "%s", "here"])).stdout == b"here"
        assert repr(web) == f"AsyncHost({server.address!r}, user={web.user!r})"

    with_host(server, test, tls=not options)


def test_a_connection_that_is_closed_is_held_by_no_ring(shared_host: Host) -> None:
    """Its buffers are given back at once, not when a collector comes round."""

    async def connected() -> weakref.ref[object]:
        async with await rexec.connect_async(shared_host.address, home=shared_host.home) as web:
            assert (await web.run(["true"])).ok
            return weakref.ref(web._session)

    async def main() -> None:
        session = await connected()
        while session() is not None:  # what the loop still has to do holds it for a moment
            await asyncio.sleep(0)

    gc.disable()
    try:
        asyncio.run(asyncio.wait_for(main(), PATIENCE))
    finally:
        gc.enable()


def test_in_the_clear_a_server_that_speaks_tls_is_told_from_one_that_is_slow(
    shared_host: Host, make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rexec.client.async_connect.CLEAR_SILENCE", 0.0)
    server = make_host().start("--no-tls")

    async def test(web: rexec.AsyncHost) -> None:
        assert (await web.run(["true"])).ok

    with_host(server, test, tls=False)
    with pytest.raises(rexec.ConnectError, match=r": the server speaks TLS$"):
        with_host(shared_host, test, tls=False)


def test_a_host_is_found_over_a_unix_socket_and_by_name(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    server = make_host().start("--no-tls", listen=(f"unix:{tmp_path}/s", "127.0.0.1:0"))

    async def main() -> None:
        port = int(server.addresses[1].rpartition(":")[2])
        for name, number in ((f"unix:{tmp_path}/s", None), ("localhost", port)):
            async with await rexec.connect_async(name, port=number, home=server.home, tls=False) as web:
                assert (await web.run(["true"])).ok

    asyncio.run(main())


def refusal(server: Host, name: str, **options: Any) -> rexec.RexecError:
    """Return why no connection is made."""
    with pytest.raises(rexec.RexecError) as caught:
        asyncio.run(rexec.connect_async(name, **{"home": server.home, **options}))
    return caught.value


def test_why_there_is_no_connection_is_said_as_the_blocking_one_says_it(
    shared_host: Host, make_host: Callable[..., Host], tmp_path: Path
) -> None:
    """security.md, Protocol, TLS, authentication: "Unknown user, unknown key: same answer"."""
    other = make_host().start("--no-tls")
    key = shared_host.home / "id_ed25519"
    tries: list[tuple[str, dict[str, Any], type[rexec.RexecError]]] = [
        ("127.0.0.1", {"port": 1}, rexec.ConnectError),
        (f"unix:{tmp_path}/none", {"tls": False}, rexec.ConnectError),
        ("no-such-host.invalid", {}, rexec.ConnectError),
        ("a..b", {}, rexec.ConnectError),
        (other.address, {}, rexec.ConnectError),
        (shared_host.address, {"tls": False, "connect_timeout": 0.3}, rexec.ConnectError),
        (shared_host.address, {"home": tmp_path, "identity": key}, rexec.TrustError),
        (shared_host.address, {"identity": other.home / "id_ed25519"}, rexec.AuthError),
        (shared_host.address, {"user": "nobody-here"}, rexec.AuthError),
        ("-oProxyCommand=id", {}, rexec.UsageError),
        (shared_host.address, {"identity": tmp_path / "none"}, rexec.ConfigError),
    ]
    for name, options, kind in tries:
        error = refusal(shared_host, name, **options)
        assert type(error) is kind, (name, options)
        with pytest.raises(kind) as caught:
            rexec.connect(name, **{"home": shared_host.home, **options})
        assert (str(caught.value), caught.value.hint) == (str(error), error.hint)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "in the clear"])
def test_a_server_that_says_nothing_is_given_up(shared_host: Host, tls: bool) -> None:
    """security.md, Protocol, TLS, authentication: "Silent sockets"."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refusal(shared_host, "127.0.0.1", port=silent.getsockname()[1], tls=tls, connect_timeout=0.2)
    assert isinstance(error, rexec.ConnectError)
    assert "timed out" in str(error)


def test_a_server_that_hangs_up_is_a_lost_connection(shared_host: Host) -> None:
    async def main() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            for tls in (True, False):
                with pytest.raises(rexec.RexecError, match=r"^127\.0\.0\.1: "):
                    await rexec.connect_async("127.0.0.1", port=port, tls=tls, home=shared_host.home)

    asyncio.run(main())


# --- results -------------------------------------------------------------------------------------


def test_every_ending_is_a_value(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        assert (await web.run(["true"])).ok
        assert (await web.run(["sh", "-c", "exit 7"])).exit_code == 7
        assert (await web.run(["sh", "-c", "kill $$"])).signal == "TERM"
        assert (await web.run(["rm"])).state == "denied"
        assert (await web.run(["sleep", "60"], timeout=0.2)).state == "timeout"
        with pytest.raises(rexec.CommandError) as caught:
            await web.run(["sh", "-c", "exit 3"], check=True)
        assert caught.value.result.exit_code == 3
        with pytest.raises(TypeError, match="argv is a sequence"):
            await web.run("ls -l")
        with pytest.raises(rexec.RexecError):
            await web.run(["ls", "x" * 3_000_000])
        assert (await web.run(["true"])).ok

    with_host(shared_host, test)


def test_a_thousand_commands_at_once_on_one_connection(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        results = await asyncio.gather(*(web.run(["printf", "%s", str(n)]) for n in range(1000)))
        assert [result.stdout for result in results] == [b"%d" % n for n in range(1000)]

    with_host(shared_host, test)


def test_more_commands_than_there_are_channels_wait_their_turn(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        results = await asyncio.gather(*(web.run(["nowhere"]) for _ in range(2 * CHANNELS_PER_SESSION)))
        assert {result.state for result in results} == {"denied"}

    with_host(shared_host, test)


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--no-tls",)], ids=["tls", "in the clear"])
def test_bulk_both_ways_at_once_is_whole(make_host: Callable[..., Host], options: tuple[str, ...]) -> None:
    data = os.urandom(BULK)

    async def test(web: rexec.AsyncHost) -> None:
        assert (await web.run(["cat"], input=data)).stdout == data
        async with await web.popen(["cat"]) as process:

            async def write() -> None:
                await process.stdin.write(data)
                process.stdin.close()

            _, found = await asyncio.gather(write(), process.stdout.read())
            assert found == data
            assert (await process.wait(check=True)).stdout_bytes == BULK

    with_host(make_host().start(*options), test, tls=not options)


def test_input_and_output_are_files_descriptors_or_memory(shared_host: Host, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"file\n" * 100_000)

    async def test(web: rexec.AsyncHost) -> None:
        with (tmp_path / "in").open("rb") as given, (tmp_path / "out").open("wb") as taken:
            result = await web.run(["cat"], input=given, stdout=taken)
        assert result.stdout_bytes == 500_000
        assert (tmp_path / "out").read_bytes() == (tmp_path / "in").read_bytes()
        end, other = os.pipe()
        os.write(other, b"pipe\n")
        os.close(other)
        memory = io.BytesIO()
        assert (await web.run(["cat"], input=end, stdout=memory)).ok
        os.close(end)
        assert memory.getvalue() == b"pipe\n"
        with Path("/dev/null").open("wb") as null:
            assert (await web.run(["seq", "100000"], stdout=null)).ok

    with_host(shared_host, test)


def test_input_that_comes_later_is_waited_for(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        end, other = os.pipe()
        running = asyncio.create_task(web.run(["sh", "-c", "echo up >&2; cat"], input=end, stderr=up.append))
        while not up:
            await asyncio.sleep(0)
        os.write(other, b"late\n")
        os.close(other)
        assert (await running).stdout == b"late\n"
        os.close(end)

    up: list[bytes] = []
    with_host(shared_host, test)


def test_a_slow_pipe_slows_its_command_and_no_other(shared_host: Host) -> None:
    """security.md, Processes: "Output flood with a client that does not read: the child blocks"."""

    async def test(web: rexec.AsyncHost) -> None:
        end, other = os.pipe()
        running = asyncio.create_task(web.run(["seq", "1000000"], stdout=other))
        twin = asyncio.create_task(web.run(["seq", "1000000"], stdout=other))
        assert (await web.run(["seq", "200000"])).text.endswith("\n200000\n")
        reader = asyncio.create_task(asyncio.to_thread(read_all, end))
        results = await asyncio.gather(running, twin)
        os.close(other)
        assert [result.stdout_bytes for result in results] == [6_888_896] * 2
        assert await reader == 2 * 6_888_896

    with_host(shared_host, test)


def read_all(descriptor: int) -> int:
    """Read up to the end; return how many bytes there were."""
    size = 0
    while data := os.read(descriptor, 65536):
        size += len(data)
    os.close(descriptor)
    return size


def test_a_reader_that_goes_away_or_a_full_disk_ends_the_command(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        end, other = os.pipe()
        running = asyncio.create_task(web.run(["yes"], stdout=other))
        assert (await web.run(["true"])).ok
        os.close(end)
        assert (await running).signal == "PIPE"
        os.close(other)
        with open("/dev/full", "wb", buffering=0) as full:
            result = await web.run(["yes"], stdout=full)
        assert (result.state, result.error) == ("lost", "stdout: no space left on device")

    with_host(shared_host, test)


def test_a_callable_may_be_a_coroutine_function_that_takes_its_time(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        pieces: list[bytes] = []

        async def take(data: bytes) -> None:
            await web.run(["true"])
            pieces.append(data)

        result = await web.run(["seq", "100000"], stdout=take)
        assert b"".join(pieces).endswith(b"\n100000\n")
        assert result.stdout_bytes == sum(map(len, pieces))

    with_host(shared_host, test)


def test_what_a_callable_raises_ends_the_command_and_is_raised(host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        with pytest.raises(ZeroDivisionError):
            await web.run(["yes"], stdout=lambda data: 1 // 0)
        await asyncio.to_thread(host.wait_for, r"rexec-server: end ")
        assert (await web.run(["true"])).ok

    with_host(host, test)


# --- processes -----------------------------------------------------------------------------------


def test_a_process_is_talked_to_line_by_line(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        async with await web.popen(["cat"]) as process:
            for line in (b"one\n", b"two\n"):
                assert await process.stdin.write(line) == 4
                assert await process.stdout.readline() == line
            assert process.poll() is None
            await process.stdin.write(b"last\nrest")
            process.stdin.close()
            process.stdin.close()
            assert await process.stdout.read(2) == b"la"
            assert await process.stdout.read1(1) == b"s"
            assert [line async for line in process.stdout] == [b"t\n", b"rest"]
            assert (await process.stdout.read1(), await process.stderr.read()) == (b"", b"")
            result = await process.wait()
            assert process.poll() == result
            with pytest.raises(BrokenPipeError):
                await process.stdin.write(b"late")

    with_host(shared_host, test)


def test_what_is_not_read_stops_the_command(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        async with await web.popen(["yes"]) as process:
            assert await process.stdout.read(2) == b"y\n"
            assert (await web.run(["seq", "200000"])).ok
            assert process.poll() is None
        result = await process.wait()
        assert result.stdout_bytes is not None
        assert result.stdout_bytes <= WINDOW_MAX

    with_host(shared_host, test)


def test_signals_and_closed_streams_reach_the_process(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        async with await web.popen(["sleep", "100"]) as process:
            process.signal("SIGUSR1")
            assert (await process.wait()).signal == "USR1"
        async with await web.popen(["sleep", "100"]) as process:
            process.kill()
            assert (await process.wait()).signal == "KILL"
            process.kill()
        async with await web.popen(["yes"]) as process:
            await process.stdout.readline()
            process.stdout.close()
            assert (await process.wait()).signal == "PIPE"

    with_host(shared_host, test)


def test_leaving_the_block_ends_a_process_that_ignores_term(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        script = "trap '' TERM PIPE; echo up; while :; do sleep 1; done"
        async with await web.popen(["sh", "-c", script]) as process:
            assert await process.stdout.readline() == b"up\n"
        assert (await process.wait()).signal == "KILL"

    with_host(shared_host, test)


# --- commands that run on without us -------------------------------------------------------------


def test_who_leaves_off_waiting_leaves_a_detached_command_running(make_host: Callable[..., Host]) -> None:
    host = make_host("sh ...\n    detach\n").start()

    async def test(web: rexec.AsyncHost) -> None:
        name = await web.detach(["sh", "-c", "echo up; exec sleep 100"])
        seen = asyncio.Event()
        waiting = asyncio.create_task(web.attach(name, stdout=lambda _: seen.set()))
        await seen.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert [job.state for job in await web.jobs()] == ["running"]
        await web.kill(name)
        assert (await web.attach(name)).signal == "TERM"
        assert (await web.logs(name)).stdout == b"up\n"

    with_host(host, test)


# --- the policy ----------------------------------------------------------------------------------


def test_the_rules_are_listed_and_a_decision_is_explained(shared_host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        assert (await web.list())[0] == rexec.Rule("cmds.txt:1", "true", "")
        assert (await web.explain(["ls", "-l"])).allowed
        assert (await web.explain(["rm"])).exit_code == 126

    with_host(shared_host, test)


# --- the end -------------------------------------------------------------------------------------


def test_a_cancelled_run_ends_its_command_and_nothing_else(host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        other = asyncio.create_task(web.run(["sh", "-c", "read x; echo $x"], input=end))
        running = asyncio.create_task(web.run(["sleep", "100"]))
        await asyncio.to_thread(host.wait_for, r"rexec-server: allow .*sleep")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.to_thread(host.wait_for, r"rexec-server: end .*status=TERM")
        os.write(begin, b"still\n")
        assert (await other).stdout == b"still\n"

    end, begin = os.pipe()
    with_host(host, test)
    os.close(end)
    os.close(begin)


def test_a_cancelled_run_ends_a_command_that_ignores_term(host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        up = asyncio.Event()
        script = "trap '' TERM PIPE; echo up; while :; do sleep 1; done"
        running = asyncio.create_task(web.run(["sh", "-c", script], stdout=lambda data: up.set()))
        await up.wait()
        running.cancel()
        await asyncio.to_thread(host.wait_for, r"rexec-server: end .*status=KILL")

    with_host(host, test)


def test_a_server_that_is_killed_loses_what_runs_and_what_comes(host: Host) -> None:
    """security.md, Protocol, TLS, authentication: "a dropped tail"."""

    async def test(web: rexec.AsyncHost) -> None:
        process = await web.popen(["sh", "-c", "echo up; exec sleep 100"])
        assert await process.stdout.readline() == b"up\n"
        running = asyncio.create_task(web.run(["sleep", "100"]))
        await asyncio.to_thread(host.stop, signal.SIGKILL)
        result = await process.wait()
        assert (result.state, result.exit_code) == ("lost", 255)
        assert (await running).state == "lost"
        with pytest.raises(rexec.ConnectionLost):
            await process.stdout.read()
        with pytest.raises(rexec.ConnectionLost):
            await process.stdin.write(b"x")
        with pytest.raises(rexec.ConnectionLost):
            await web.run(["true"])

    with_host(host, test)


async def run_for_ever(web: rexec.AsyncHost) -> None:
    while True:
        await web.run(["true"])


def test_a_server_that_stops_says_so(host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        running = asyncio.create_task(web.run(["sh", "-c", "read x; exit 5"], input=end))
        await asyncio.to_thread(host.wait_for, r"rexec-server: allow ")
        assert host.process is not None
        host.process.terminate()
        await asyncio.to_thread(host.wait_for, r"rexec-server: drain ")
        os.write(begin, b"\n")
        assert (await running).exit_code == 5
        with pytest.raises(rexec.ConnectionLost):
            await run_for_ever(web)

    end, begin = os.pipe()
    with_host(host, test)
    os.close(end)
    os.close(begin)


def test_a_host_that_is_closed_ends_what_runs(host: Host) -> None:
    async def test(web: rexec.AsyncHost) -> None:
        running = asyncio.create_task(web.run(["sleep", "100"]))
        await asyncio.to_thread(host.wait_for, r"rexec-server: allow ")
        await web.close()
        await web.close()
        assert (await running).state == "lost"
        await asyncio.to_thread(host.wait_for, r"rexec-server: left .*goodbye")

    with_host(host, test)


def test_nothing_is_left_of_many_hosts(shared_host: Host) -> None:
    async def use() -> None:
        async with await rexec.connect_async(shared_host.address, home=shared_host.home) as web:
            assert (await web.run(["cat"], input=b"x", stdout=lambda data: None)).ok
            await web.popen(["sleep", "100"])

    async def main() -> None:
        await use()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            await use()
        assert len(os.listdir("/proc/self/fd")) <= before

    asyncio.run(main())
