"""What a server says that cannot listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.errors import ConfigError
from rexec.server.sockets import bind
from rexec.transport.address import Address


def test_a_port_without_its_colon_is_told_where_it_belongs() -> None:
    with pytest.raises(ConfigError) as caught:
        bind(Address("5614", 5512))  # to the resolver that is 0.0.21.238
    assert caught.value.hint == "a port has a colon in front: --listen :5614"


def test_a_file_in_the_place_of_a_socket_is_no_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("kept")
    with pytest.raises(
        ConfigError, match=f"cannot listen on unix:{path}: there is a file that is no socket"
    ) as caught:
        bind(Address("", 0, str(path)))
    assert caught.value.hint == "remove it, or --listen names another address"
    assert path.read_text() == "kept"
