"""A server listens where it was told, says where that is, and refuses what it cannot or must not do."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable

import pytest

from tests.regress.conftest import Host


def test_several_addresses_serve_at_once(make_host: Callable[..., Host]) -> None:
    """cli.md: "several allowed"; "it prints one line per socket"."""
    host = make_host()
    host.start(listen=("127.0.0.1:0", "127.0.0.2:0", "[::1]:0", f"unix:{host.folder}/socket", "localhost:0"))
    assert len(set(host.addresses)) == 5
    assert all(not address.endswith(":0") for address in host.addresses)
    for address in host.addresses:
        done = host.run("printf", "%s", address, address=address)
        assert (done.returncode, done.stdout) == (0, address.encode()), done.stderr


def test_a_unix_socket_is_its_owners_alone_and_goes_with_the_server(make_host: Callable[..., Host]) -> None:
    """cli.md: "`unix:/path`"; "`--no-tls` is taken for `unix:` and loopback addresses"."""
    host = make_host()
    path = host.folder / "socket"
    host.start("--no-tls", listen=(f"unix:{path}",), umask=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert host.run("true", options=("--no-tls",)).returncode == 0
    assert host.stop() == 0
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(make_host: Callable[..., Host]) -> None:
    """cli.md: "`unix:/path`": what a server that died left behind is in nobody's way."""
    host = make_host()
    path = host.folder / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    host.start(listen=(f"unix:{path}",))
    assert host.run("true").returncode == 0


def test_a_living_unix_socket_is_not_replaced(make_host: Callable[..., Host]) -> None:
    """cli.md: "A missing or wrong ... port in use ...: one line, exit 2"."""
    host = make_host().start(listen=("unix:socket",))
    said = make_host().refuses(listen=(f"unix:{host.folder}/socket",))
    assert "in use" in said
    assert host.run("true", cwd=host.folder).returncode == 0


def test_a_file_that_is_no_socket_is_left_alone(make_host: Callable[..., Host]) -> None:
    """cli.md: "port in use": a path that is taken is not taken away."""
    host = make_host()
    path = host.folder / "file"
    path.write_text("precious")
    assert "unix:" in host.refuses(listen=(f"unix:{path}",))
    assert path.read_text() == "precious"


def test_a_port_in_use_is_exit_2(make_host: Callable[..., Host]) -> None:
    """cli.md: "A missing or wrong allow list, key, port in use ...: one line, exit 2"."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = make_host().refuses(listen=(address,))
    assert address in said
    assert "in use" in said


@pytest.mark.parametrize(
    "address", ["192.0.2.1:0", "[2001:db8::1]:0", "no-such-host.invalid:0", "unix:/no/such/dir/s"]
)
def test_an_address_that_is_not_ours_is_exit_2(make_host: Callable[..., Host], address: str) -> None:
    """cli.md: "address that isn't ours: one line, exit 2"."""
    assert address.removesuffix(":0") in make_host().refuses(listen=(address,))


@pytest.mark.parametrize("address", ["127.0.0.1:x", "127.0.0.1:70000", "[::1", "unix:", "-x:1", ""])
def test_what_is_no_address_is_exit_2(make_host: Callable[..., Host], address: str) -> None:
    """cli.md: `ADDR`."""
    make_host().refuses(listen=(address,))


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:0", "127.evil.example:0"]
)
def test_the_clear_is_refused_where_others_could_listen(make_host: Callable[..., Host], address: str) -> None:
    """cli.md: "`--no-tls` ...: anything else refuses to start and says why"."""
    said = make_host().refuses("--no-tls", listen=("127.0.0.1:0", address))
    assert "--no-tls" in said
    assert "read and change" in said


def test_one_bad_address_among_good_ones_starts_nothing(make_host: Callable[..., Host]) -> None:
    """cli.md: "address that isn't ours: one line, exit 2"."""
    host = make_host()
    host.refuses(listen=("127.0.0.1:0", f"unix:{host.folder}/s", "192.0.2.1:0"))
    assert not os.path.exists(host.folder / "s")


def test_any_address_answers_on_all_of_them(make_host: Callable[..., Host]) -> None:
    """cli.md: "`:port`": IPv4 and IPv6 both."""
    host = make_host().start(listen=(":0",))
    for name in ("127.0.0.1", "[::1]", "localhost"):
        assert host.run("true", address=f"{name}:{host.port}").returncode == 0
