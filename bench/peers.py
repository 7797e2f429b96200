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
    if words == ["true"]:
        child = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        out, err = await child.communicate()
        process.stdout.write(out)
        process.stderr.write(err)
    else:
        child = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
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
