"""A host and `rexec-ssh` on it, as the programs that start ssh call it."""

from __future__ import annotations

import subprocess

from tests.regress.conftest import BIN, PATIENCE, RULES, Client, Host

SSH = str(BIN / "rexec-ssh")
SHELL_RULES = (
    RULES.replace("env\n", "env\n    env pass LANG LC_*\n")
    + "echo ...\ntee ...\nsftp-server = cat\ntty\nstty ...\n"
)


def ssh_words(host: Host, *words: str | bytes, options: tuple[str, ...] = ()) -> list[str | bytes]:
    """A command line with the host's port, and its address behind the options."""
    return [SSH, "-p", str(host.port), *options, "127.0.0.1", *words]


def ssh(
    host: Host,
    *words: str | bytes,
    options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    **more: object,
) -> subprocess.CompletedProcess[bytes]:
    """Run a client to its end."""
    given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": PATIENCE}
    if "stdin" not in more:
        given["input"] = b""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        ssh_words(host, *words, options=options),
        env=host.environment(**(env or {})),
        check=False,
        **(given | more),
    )


def ssh_popen(
    host: Host, *words: str | bytes, options: tuple[str, ...] = (), **more: object
) -> subprocess.Popen[bytes]:
    """Start a client; its streams are pipes unless told otherwise."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return Client(  # type: ignore[call-overload, no-any-return]
        ssh_words(host, *words, options=options), env=host.environment(), **{**pipes, **more}
    )
