"""The way back to a server in an event loop; imported when a connection is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rexec.client.async_connect import Door, ends_of, reach
from rexec.client.resume import Pauses
from rexec.errors import ConnectError, ConnectionLost, RexecError
from rexec.limits import PARTING
from rexec.protocol import frames as f
from rexec.protocol.frames import Farewell
from rexec.transport.approach import words

if TYPE_CHECKING:
    from rexec.client.greeting import Greeting
    from rexec.protocol.session import Session
    from rexec.transport.link import Link


async def come_back(before: Greeting, session: Session) -> tuple[Link, Greeting, Door]:
    """Return the next connection of a session, and who holds what came by it.

    Raises why we cannot come back: no time left, another server, a key that is not taken any more.
    """
    loop = asyncio.get_running_loop()
    pauses = Pauses(before.target, loop.time())
    while True:
        await asyncio.sleep(max(0.0, pauses.due - loop.time()))
        try:
            return await _try(before, session)
        except (ConnectError, ConnectionLost) as error:
            why: RexecError = error
        except OSError as error:
            why = ConnectError(words(error))
        pauses.again(why, loop.time())


async def take_leave(before: Greeting, session: Session) -> None:
    """Make one more attempt, a short one: a server that hears goodbye ends what runs for us."""
    link: Link | None = None
    try:
        async with asyncio.timeout(PARTING):
            link, greeting, door = await _try(before, session)
            link.write(greeting.connection.send(f.Goodbye(Farewell.DONE)))
            while await door.more() is not None:
                pass  # whoever closes with bytes unread may take back what was said last
    except (RexecError, OSError):
        pass  # a time-out too: it will find out by itself
    if link is not None:
        link.close()


async def _try(before: Greeting, session: Session) -> tuple[Link, Greeting, Door]:
    target, door = before.target, Door()
    deadline = asyncio.get_running_loop().time() + target.connect_timeout
    link = await reach(target, door, deadline)
    try:
        greeting = before.again(ends_of(target, link), session)
        async with asyncio.timeout_at(deadline):
            for data in greeting.steps():  # in the loop itself: the counts of the session are its own
                if data:
                    link.write(data)
                else:
                    greeting.take(await door.more())
    except TimeoutError:
        link.abort()
        raise ConnectError("timed out waiting for the server's answer") from None
    except BaseException:
        link.abort()
        raise
    return link, greeting, door
