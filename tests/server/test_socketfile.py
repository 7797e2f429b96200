"""The files of Unix sockets: ours go, and nothing else does."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rexec.server.socketfile import SocketFiles


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def test_what_was_bound_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    files = SocketFiles([str(path)])
    bind(path)
    files.note(str(path))
    files.remove()
    assert not path.exists()
    files.remove()  # it is gone, and that is well


def test_what_another_server_bound_since_stays(tmp_path: Path) -> None:
    """Its number in the file system may be the very one that the first had."""
    path = tmp_path / "s"
    files = SocketFiles([str(path)])
    bind(path)
    files.note(str(path))
    path.unlink()
    bind(path)
    os.utime(path, ns=(1, 1), follow_symlinks=False)
    files.remove()
    assert path.exists()


def test_what_was_not_noted_or_is_no_socket_or_no_name_of_ours_stays(tmp_path: Path) -> None:
    mine, other, plain, missing = (tmp_path / name for name in ("mine", "other", "plain", "missing"))
    files = SocketFiles([str(mine), str(plain), str(missing)])
    bind(mine)
    bind(other)
    plain.write_text("precious")
    for path in (other, plain, missing):
        files.note(str(path))
    files.remove()
    assert mine.exists()
    assert other.exists()
    assert plain.exists()


def test_what_cannot_be_removed_is_left(tmp_path: Path) -> None:
    path = tmp_path / "s"
    files = SocketFiles([str(path)])
    bind(path)
    files.note(str(path))
    path.unlink()
    files.remove()
