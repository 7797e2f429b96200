"""cli.md: "`rexec --explain host cmd ...` says which rule decides": the one that would decide a run."""

from __future__ import annotations

from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = Host(tmp_path_factory.mktemp("explain"), RULES).start()
    yield made
    made.end()


@pytest.mark.parametrize(("options", "command", "code", "words"), ASKED)
def test_the_verdict_is_that_of_a_run_with_the_same_options(
    host: Host, options: tuple[str, ...], command: str, code: int, words: bytes
) -> None:
    told = host.run(command, options=("--explain", *options))
    assert words in told.stdout
    assert told.returncode == code
    assert host.run(command, options=options).returncode == code
