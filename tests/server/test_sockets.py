"""What a server says that cannot listen."""

from __future__ import annotations

import pytest

from rexec.errors import ConfigError
from rexec.server.sockets import bind
from rexec.transport.address import Address


def test_a_port_without_its_colon_is_told_where_it_belongs() -> None:
    with pytest.raises(ConfigError) as caught:
        bind(Address("5614", 5512))  # to the resolver that is 0.0.21.238
    assert caught.value.hint == "a port has a colon in front: --listen :5614"
