"""What copies are called: decided here, from what was typed and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.client import errand
from rexec.client.errand import Habits
from rexec.client.result import Result
from rexec.errors import ConfigError, RexecError, UsageError
from rexec.protocol.frames import Form


@pytest.mark.parametrize(
    ("path", "name"),
    [(b"/var/log", b"log"), (b"/var/log/", b"log"), (b"a", b"a"), (b".", b""), (b"/", b""), (b"x/.", b"")],
)
def test_a_copy_is_called_as_its_source(path: bytes, name: bytes) -> None:
    assert errand.name_of(path) == name


def test_what_is_above_has_no_name() -> None:
    with pytest.raises(UsageError):
        errand.name_of(b"a/..")


def test_a_target_here(tmp_path: Path) -> None:
    here = str(tmp_path).encode()
    assert errand.local_target(here, b"a") == here + b"/a"
    assert errand.local_target(here, b"") == here
    assert errand.local_target(here + b"/new", b"a") == here + b"/new"
    with pytest.raises(ConfigError):
        errand.local_target(here + b"/new/", b"a")
    with pytest.raises(ConfigError):
        errand.local_target(here + b"/new", b"a", many=True)


def test_a_target_at_a_host() -> None:
    assert [errand.is_open(to) for to in (b"", b".", b"~", b"d/", b"d", b"/d")] == [False] * 4 + [True] * 2
    assert errand.remote_target(b"", b"a") == b"a"
    assert errand.remote_target(b"", b"") == b"."
    assert errand.remote_target(b"d/", b"a") == b"d/a"
    assert errand.remote_target(b"d", b"") == b"d"


def test_the_frame_of_a_copy() -> None:
    frame = errand.get_frame(b"~/x", Habits(recursive=True, times=True, resume=True))
    assert (frame.form, frame.words) == (Form.COPY, (b"@get", b"-r", b"--resume", b"x"))
    frame = errand.put_frame(b"", Habits(recursive=True, times=True, resume=True), b"/srv")
    assert (frame.words, frame.cwd) == ((b"@put", b"-r", b"-p", b"."), b"/srv")


@pytest.mark.parametrize(
    ("result", "error", "failures", "code", "text"),
    [
        (Result("ok", 0), None, 0, 0, None),
        (Result("ok", 0), None, 1, 1, None),
        (Result("failed", 1), None, 0, 1, None),
        (Result("failed", 255), None, 0, 255, "the server's end of the copy failed"),
        (Result("ok", 0), RexecError("cut"), 0, 255, "cut"),
        (Result("denied", 126, error="no"), RexecError("cut"), 0, 126, "denied: no"),
        (Result("timeout", 124, error="timed out"), RexecError("cut"), 0, 124, "timed out"),
        (Result("lost", 255, error="lost"), None, 0, 255, "lost"),
        (Result("signal", 143, signal="TERM"), None, 0, 143, "the copy ended by TERM"),
    ],
)
def test_what_a_copy_comes_to(
    result: Result, error: RexecError | None, failures: int, code: int, text: str | None
) -> None:
    assert errand.ending(result, error, failures) == (code, text)
