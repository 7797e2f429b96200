"""What leaves together, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from rexec.limits import UNHURRIED
from rexec.transport.outbox import Outbox


def in_a_loop(test: Callable[[Outbox, list[bytes]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        written: list[bytes] = []
        await test(Outbox(asyncio.get_running_loop(), written.append), written)

    asyncio.run(main())


def test_frames_of_one_turn_leave_together_in_their_order() -> None:
    async def test(outbox: Outbox, written: list[bytes]) -> None:
        outbox.put(b"a", hurry=False)
        outbox.put(b"b")
        outbox.put(b"")
        outbox.put(b"c")
        assert written == []
        await asyncio.sleep(0)
        assert written == [b"abc"]
        outbox.put(b"d")
        await asyncio.sleep(0)
        assert written == [b"abc", b"d"]

    in_a_loop(test)


def test_what_is_in_no_hurry_leaves_a_moment_later() -> None:
    async def test(outbox: Outbox, written: list[bytes]) -> None:
        for _ in range(2):
            outbox.put(b"a", hurry=False)
            outbox.put(b"b", hurry=False)
            assert written == []
            while not written:
                await asyncio.sleep(0.001)
            assert written == [b"ab"]
            written.clear()

    in_a_loop(test)


def test_what_came_after_a_departure_waits_for_company_of_its_own() -> None:
    """The moment is that of the frame, and not of one before it that found company."""

    async def test(outbox: Outbox, written: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        outbox.put(b"a", hurry=False)
        outbox.put(b"b")
        await asyncio.sleep(UNHURRIED / 2)
        assert written == [b"ab"]
        begun = loop.time()
        outbox.put(b"c", hurry=False)
        while len(written) < 2:
            await asyncio.sleep(0)
        assert loop.time() >= begun + UNHURRIED
        assert written[1:] == [b"c"]

    in_a_loop(test)


def test_what_is_flushed_does_not_leave_twice_and_what_is_cleared_not_at_all() -> None:
    async def test(outbox: Outbox, written: list[bytes]) -> None:
        outbox.put(b"a")
        outbox.flush()
        assert written == [b"a"]
        outbox.put(b"b")
        outbox.clear()
        await asyncio.sleep(0)
        outbox.flush()
        assert written == [b"a"]

    in_a_loop(test)


def test_what_is_large_leaves_at_once_behind_what_came_before() -> None:
    """Who writes hears when the link takes no more, before the next frame is made."""

    async def test(outbox: Outbox, written: list[bytes]) -> None:
        outbox.put(b"a")
        outbox.put(bytes(16 * 1024), hurry=False)
        assert written == [b"a", bytes(16 * 1024)]
        outbox.put(b"b")
        await asyncio.sleep(0)
        assert written == [b"a", bytes(16 * 1024), b"b"]

    in_a_loop(test)


def test_many_small_frames_leave_whenever_they_fill_a_record() -> None:
    async def test(outbox: Outbox, written: list[bytes]) -> None:
        for _ in range(100):
            outbox.put(bytes(1000))
        assert len(written) == 5
        outbox.flush()
        assert sum(map(len, written)) == 100_000

    in_a_loop(test)
