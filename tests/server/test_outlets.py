"""The descriptors of commands, in an epoll of their own."""

from __future__ import annotations

import asyncio
import os

from rexec.protocol.frames import Stream
from rexec.server.outlets import Outlets


def nothing() -> None:
    pass


def test_who_waits_is_called_while_there_is_something_to_read() -> None:
    async def main() -> None:
        outlets = Outlets(asyncio.get_running_loop(), nothing, nothing)
        reading, writing = os.pipe()
        heard: list[bytes] = []
        over = asyncio.Event()

        def ready(stream: Stream) -> None:
            assert stream is Stream.STDOUT
            heard.append(os.read(reading, 1))
            if not heard[-1]:
                outlets.remove(reading)
                over.set()

        outlets.add(reading, ready, Stream.STDOUT)
        os.write(writing, b"ab")
        os.close(writing)
        await over.wait()
        assert heard == [b"a", b"b", b""]
        os.close(reading)
        outlets.close()

    asyncio.run(main())


def test_one_that_is_closed_by_another_of_its_round_is_not_called() -> None:
    async def main() -> None:
        outlets = Outlets(asyncio.get_running_loop(), nothing, nothing)
        pipes = [os.pipe(), os.pipe()]
        heard: list[Stream] = []
        called = asyncio.Event()

        def ready(stream: Stream) -> None:
            heard.append(stream)
            for reading, writing in pipes:
                outlets.remove(reading)
                os.close(reading)
                os.close(writing)
            called.set()

        for (reading, writing), stream in zip(pipes, (Stream.STDOUT, Stream.STDERR), strict=True):
            outlets.add(reading, ready, stream)
            os.write(writing, b"x")
        await called.wait()
        await asyncio.sleep(0)
        assert len(heard) == 1
        outlets.close()

    asyncio.run(main())


def test_something_is_done_around_all_that_is_ready_at_once() -> None:
    async def main() -> None:
        heard: list[str] = []
        over = asyncio.Event()

        def after() -> None:
            heard.append("after")
            over.set()

        outlets = Outlets(asyncio.get_running_loop(), lambda: heard.append("before"), after)
        pipes = [os.pipe(), os.pipe()]

        def ready(stream: Stream) -> None:
            heard.append(stream.name)
            outlets.remove(pipes[stream - Stream.STDOUT][0])

        for (reading, writing), stream in zip(pipes, (Stream.STDOUT, Stream.STDERR), strict=True):
            os.write(writing, b"x")
            outlets.add(reading, ready, stream)
        await over.wait()
        assert heard == ["before", "STDOUT", "STDERR", "after"]
        for reading, writing in pipes:
            os.close(reading)
            os.close(writing)
        outlets.close()

    asyncio.run(main())


def test_one_that_fails_keeps_nobody_else_waiting() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        outlets = Outlets(loop, nothing, nothing)
        told: list[object] = []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        pipes = [os.pipe(), os.pipe()]
        called = asyncio.Event()
        failure = KeyError("a flaw")

        def fail(stream: Stream) -> None:
            raise failure

        for (reading, writing), ready in zip(pipes, (fail, lambda _: called.set()), strict=True):
            os.write(writing, b"x")
            outlets.add(reading, ready, Stream.STDOUT)
        await called.wait()
        assert told[0] is failure
        for reading, writing in pipes:
            outlets.remove(reading)
            os.close(reading)
            os.close(writing)
        outlets.close()

    asyncio.run(main())


def test_what_is_left_at_the_end_is_put_away() -> None:
    """As where the runner is gone, and commands are left behind it."""

    async def main() -> None:
        outlets = Outlets(asyncio.get_running_loop(), nothing, nothing)
        reading, writing = os.pipe()
        outlets.add(reading, lambda _: None, Stream.STDOUT)
        outlets.close()
        outlets.remove(reading)
        os.close(reading)
        os.close(writing)

    asyncio.run(main())
