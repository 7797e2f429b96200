"""The server takes all descriptors that it may have; a command has as many as the server was given."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host

SOFT = 200
RULES = "sh ...\ndash ...\n    nice 1\ncat\n"


@pytest.fixture
def modest(make_host: Callable[..., Host]) -> Host:
    """A server that was given few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return make_host(RULES).start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard)))


@pytest.mark.parametrize("shell", ["sh", "dash"])
@pytest.mark.parametrize("options", [(), ("-t",)])
def test_a_command_has_as_many_as_the_server_was_given(
    modest: Host, shell: str, options: tuple[str, ...]
) -> None:
    """security.md, Environment and inheritance: what is the server's own does not reach a child."""
    done = modest.run(shell, "-c", "ulimit -S -n", options=options)
    assert int(done.stdout) == SOFT
    assert resource.prlimit(modest.runner_pid(), resource.RLIMIT_NOFILE)[0] > SOFT


def test_as_many_commands_as_that_run_at_once(modest: Host) -> None:
    """security.md, Processes: "descriptors": each command takes one of the runner's."""
    session = modest.session()
    commands = [
        session.start(f.Exec(0, f.Form.ARGV, (b"cat",)), None, MemorySink(), MemorySink())
        for _ in range(SOFT + 50)
    ]
    session.run(lambda: all(command.started for command in commands))
    for command in commands:
        session.finish(command)
    session.run(lambda: all(command.is_over for command in commands))
    assert {command.result().state for command in commands} == {"ok"}
    session.close()
