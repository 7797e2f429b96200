"""cli.md: "`rexec --explain host cmd ...` says which rule decides": the one that would decide a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.regress.conftest import Host

RULES = """\
true
pwd
    cwd ask '/usr/**'
stty
    pty only
env
    env pass LC_TIME
"""
ASKED = [
    ((), "true", 0, b"allowed by"),
    (("-C", "/usr"), "true", 126, b"does not let the client choose the directory"),
    (("-C", "/usr/share"), "pwd", 0, b"directory: /usr/share"),
    (("-C", "/etc"), "pwd", 126, b"denied"),
    ((), "stty", 126, b"denied"),
    (("-t",), "stty", 0, b"terminal: yes"),
    (("-e", "LC_TIME=C"), "env", 0, b"LC_TIME=C"),
    (("-e", "LC_ALL=C"), "env", 126, b"LC_ALL"),
]


@pytest.mark.parametrize(("options", "command", "code", "words"), ASKED)
def test_the_verdict_is_that_of_a_run_with_the_same_options(
    make_host: Callable[..., Host], options: tuple[str, ...], command: str, code: int, words: bytes
) -> None:
    host = make_host(RULES).start()
    told = host.run(command, options=("--explain", *options))
    assert words in told.stdout
    assert told.returncode == code
    assert host.run(command, options=options).returncode == code
