"""Commands that are to be ended, and programs that know how a supervisor watches."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host, wait_until

RULES = """\
sh ...
    timeout 2s
python3 ...
    timeout 3s
"""
# A child leaves the session, ignores TERM, and holds on to its parent by ptrace(2): dead, the parent is seen
# by nobody else.
TRACED = """\
import ctypes, os, signal, sys, time
SEIZE, SET_PTRACER, ANY = 0x4206, 0x59616D61, ctypes.c_ulong(-1)
libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long] * 4
reading, writing = os.pipe()
leader = os.getpid()
libc.prctl(SET_PTRACER, ANY, 0, 0, 0)
if not os.fork():
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    libc.ptrace(SEIZE, leader, 0, 0)
    with open(sys.argv[1], "w") as file:
        file.write(f"{os.getpid()}\\n")
    os.closerange(0, 3)
    os.write(writing, b"x")
    time.sleep(1000)
os.read(reading, 1)
os._exit(0)
"""
FLOOD = 'setsid sh -c \'trap "" TERM; echo $$ > "$0"; exec yes\' "$0" & exit 0'


def is_alive(noted: Path) -> bool:
    return os.path.exists(f"/proc/{int(noted.read_text())}")


def test_a_leader_that_its_tracer_holds_is_ended(make_host: Callable[..., Host], tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid to escape the group, a child that ignores TERM"."""
    host = make_host(RULES).start()
    noted = tmp_path / "tracer"
    host.run("python3", "-c", TRACED, str(noted))
    host.wait_for("end .*rule=cmds.txt:3 status=timeout")
    assert not is_alive(noted)


def test_a_client_that_takes_no_output_prolongs_nothing(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    """security.md, Processes: "Output flood with a client that does not read"; the leader is gone."""
    host = make_host(RULES).start()
    noted = tmp_path / "flood"
    session = host.session()
    words = (b"sh", b"-c", FLOOD.encode(), os.fsencode(noted))
    command = session.start(f.Exec(0, f.Form.ARGV, words), None, MemorySink(), MemorySink())
    session.run(lambda: sum(command.received.values()) > 0)
    wait_until(lambda: not is_alive(noted), "the flood is ended")
    session.close()
