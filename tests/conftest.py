"""What holds for every test: signals as a person at a terminal has them, and no haste.

A shell starts what it puts into the background with INT and QUIT ignored, nohup(1) starts everything
with HUP ignored, and perf(1) with USR2; children inherit that. The tests are about what signals do,
wherever they are run.
How long one sample of a property takes says nothing on a machine that is busy with something else.

Every worker imports every test. In a fresh checkout that is mostly the compiling of assertions, which
whoever comes first leaves behind for the others: so each begins at another place.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.tree import ROOT

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # which Python itself ignores
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import the tests in an order of this worker's own; the collection says what is wrong with them."""
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    asked = [Path(argument.partition("::")[0]).resolve() for argument in session.config.args]
    paths = sorted(path for place in asked for path in [place, *place.rglob("test_*.py")] if path.is_file())
    begin = len(paths) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for path in paths[begin:] + paths[:begin]:
        with contextlib.suppress(Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
