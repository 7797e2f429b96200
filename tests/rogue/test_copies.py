"""A server that sends what nobody asked for, to a real `rexec-cp`.

security.md, People's terminals, logs and files: "Copy: a server that sends other names, `..`, absolute paths,
links, set-uid bits, wrong sizes (CVE-2019-6111 and kin): the client decides the names."
"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from rexec.copying import records as r
from tests.copying.ends import encoded
from tests.copying.test_attacks import NAMES, TOP, WHOLE, end, file
from tests.regress.conftest import BIN
from tests.rogue import wire
from tests.rogue.client import PATIENCE
from tests.rogue.server import Conversation, RogueServer, Script, on, whole


def copied(
    tmp_path: Path, stream: bytes, *words: str, options: tuple[str, ...] = (), **more: int
) -> subprocess.CompletedProcess[bytes]:
    """Copy from a server that answers with this stream, into the directory `here`."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "canary").write_text("canary")

    def script(conversation: Conversation) -> None:
        conversation.serve(whole(stream, **more))
        conversation.rest()

    with RogueServer(tmp_path, script) as server:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return subprocess.run(
            [
                str(BIN / "rexec-cp"),
                *("-P", str(server.port), *options),
                "127.0.0.1:/srv/asked",
                *(words or (".",)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**kept, "HOME": str(tmp_path), "REXEC_HOME": str(server.home)},
            cwd=here,
            timeout=PATIENCE,
            check=False,
        )


def outside(tmp_path: Path) -> dict[str, str]:
    """What stands where the client was, besides what it was asked for."""
    here = tmp_path / "here"
    assert (here / "canary").read_text() == "canary"
    return {name: "" for name in os.listdir(here) if name not in ("canary", "asked")}


def test_an_honest_stream_arrives(tmp_path: Path) -> None:
    """The control: this rogue can be believed when it wants to."""
    done = copied(tmp_path, encoded([file(), *WHOLE, r.Finish()]))
    assert done.returncode == 0, done
    assert (tmp_path / "here" / "asked").read_bytes() == b"x"
    assert outside(tmp_path) == {}


@pytest.mark.parametrize("name", [b".bashrc", b"canary", b"other", *NAMES[1:]])
def test_another_name_for_the_file(tmp_path: Path, name: bytes) -> None:
    done = copied(tmp_path, encoded([file(name), *WHOLE, r.Finish()]))
    assert done.returncode == 255, done
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "here" / "asked").exists()
    assert outside(tmp_path) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_tree_that_leads_out_of_it(tmp_path: Path, name: bytes) -> None:
    tree = [TOP, r.Directory(b"sub", 0o755, 0, 0), file(name), *WHOLE, r.Up(), r.Up(), r.Finish()]
    done = copied(tmp_path, encoded(tree), options=("-r",))
    assert done.returncode == 255, done
    assert os.listdir(tmp_path / "here" / "asked" / "sub") == []
    assert outside(tmp_path) == {}


def test_a_tree_where_a_file_was_asked_for(tmp_path: Path) -> None:
    done = copied(tmp_path, encoded([TOP, file(b"f"), *WHOLE, r.Up(), r.Finish()]))
    assert done.returncode == 255, done
    assert os.listdir(tmp_path / "here") == ["canary"]


def test_more_than_one_file(tmp_path: Path) -> None:
    done = copied(tmp_path, encoded([file(), *WHOLE, file(), *WHOLE, r.Finish()]))
    assert done.returncode == 255, done
    assert outside(tmp_path) == {}


def test_set_uid_bits(tmp_path: Path) -> None:
    done = copied(tmp_path, encoded([file(mode=0o6777), *WHOLE, r.Finish()]), options=("-p",))
    assert done.returncode == 0
    mode = stat.S_IMODE((tmp_path / "here" / "asked").stat().st_mode)
    assert not mode & 0o7000
    assert not mode & 0o022 & os.umask(os.umask(0o022))


@pytest.mark.parametrize(
    "stream",
    [
        [file(size=1), b"xyz", end(b"xyz"), r.Finish()],
        [file(size=9), b"xyz", end(b"xyz"), r.Finish()],
        [file(size=3), b"xyz", r.Finish()],
        [file(size=3), b"xyz"],
        [r.Finish(), b"x"],
        [r.Done(1, 0)],
    ],
)
def test_wrong_sizes_and_streams_that_end_too_early(tmp_path: Path, stream: list[r.Told | bytes]) -> None:
    done = copied(tmp_path, encoded(stream))
    assert (tmp_path / "here" / "asked").exists() is False
    assert os.listdir(tmp_path / "here") == ["canary"]
    assert done.returncode == 255 or stream[0] == r.Finish(), done


def test_another_checksum(tmp_path: Path) -> None:
    done = copied(tmp_path, encoded([file(size=3), b"xyz", end(b"abc"), r.Finish()]))
    assert done.returncode == 1
    assert b"the checksum is another one" in done.stderr
    assert os.listdir(tmp_path / "here") == ["canary"]
    (tmp_path / "more").mkdir()
    done = copied(tmp_path / "more", encoded([file(size=3), b"xyz", end(b"abc"), r.Finish()]), "-")
    assert done.returncode == 1


def test_a_part_that_was_never_there(tmp_path: Path) -> None:
    """A sender may not begin in the middle: what it leaves out would be what the client makes up."""
    done = copied(tmp_path, encoded([file(size=3, ask=r.Ask.RESUME), r.From(2), b"x", end(b"x"), r.Finish()]))
    assert done.returncode == 255
    assert os.listdir(tmp_path / "here") == ["canary"]


def test_messages_that_would_steer_the_terminal(tmp_path: Path) -> None:
    """security.md: control characters in file names: what rexec itself prints is neutralised."""
    tree = [TOP, r.Skipped(b"\x1b]0;owned\x07\n", "\x1b[2Jowned\nrexec-cp: all is well"), r.Up(), r.Finish()]
    done = copied(tmp_path, encoded(tree), options=("-r",))
    assert done.returncode == 1
    assert b"\x1b" not in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_line_that_breaks_in_the_middle_of_a_file(tmp_path: Path) -> None:
    here = tmp_path / "cut"
    here.mkdir()

    def script(conversation: Conversation) -> None:
        stream = encoded([file(size=100), b"x" * 50])
        conversation.serve(on(1, (wire.STARTED, wire.started()), (wire.STDOUT, stream)))

    with RogueServer(tmp_path, script) as server:
        done = subprocess.run(
            [str(BIN / "rexec-cp"), "-P", str(server.port), "127.0.0.1:/srv/asked", "."],
            capture_output=True,
            env={"PATH": os.environ["PATH"], "REXEC_HOME": str(server.home)},
            cwd=here,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 255
    assert b"connection lost" in done.stderr
    assert os.listdir(here) == []


def asked_of(tmp_path: Path, script: Script) -> tuple[int, bytes]:
    """Copy to a server that plays this script; give the exit code and stderr."""
    (tmp_path / "a").write_text("x")
    with RogueServer(tmp_path, script) as server:
        done = subprocess.run(
            [str(BIN / "rexec-cp"), "-P", str(server.port), "a", "127.0.0.1:/srv/asked"],
            capture_output=True,
            env={"PATH": os.environ["PATH"], "REXEC_HOME": str(server.home)},
            cwd=tmp_path,
            timeout=PATIENCE,
            check=False,
        )
    return done.returncode, done.stderr


def test_an_answer_to_the_question_what_is_there_that_is_none(tmp_path: Path) -> None:
    """The client asks only whether to copy into a directory; whatever is said, the server judges the path."""
    answer = b"directory\x1b[2J" * 1000
    asked: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.serve(on(1, (wire.STDOUT, answer), (wire.EXIT, wire.exit_(stdout=len(answer)))))
        asked.append(conversation.hear(wire.EXEC))
        conversation.send(wire.frame(wire.GOODBYE, wire.goodbye()))

    code, said = asked_of(tmp_path, script)
    assert b"@put" in asked[0]
    assert b"/srv/asked\0" in asked[0]
    assert (code, said.count(b"\n"), b"\x1b" in said) == (255, 1, False)


def test_a_question_is_not_started(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.serve(whole(b"directory"))
        conversation.rest()

    assert asked_of(tmp_path, script) == (255, b"rexec-cp: protocol error: Started in state answering\n")
