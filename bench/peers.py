"""A server on asyncssh that runs what it is asked to: `python -m bench.peers FOLDER PORT`."""

from __future__ import annotations

import asyncio
import shlex
import sys

import asyncssh


async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run one command, without the shell that sshd would take, and without input where it reads none."""
    words = shlex.split(process.command or "")
    pipe = asyncio.subprocess.PIPE
    given = asyncio.subprocess.DEVNULL if words == ["true"] else pipe
    child = await asyncio.create_subprocess_exec(*words, stdin=given, stdout=pipe, stderr=pipe)
    ends = {} if child.stdin is None else {"stdin": child.stdin}
    await process.redirect(**ends, stdout=child.stdout, stderr=child.stderr)
    process.exit(await child.wait())


async def main(folder: str, port: int) -> None:
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[f"{folder}/host"],
        authorized_client_keys=f"{folder}/user.pub",
        process_factory=serve,
        encoding=None,
        backlog=512,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
