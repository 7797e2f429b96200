"""The exit code of `rexec` is the command's own, all of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.regress.conftest import Host


def test_every_exit_code_arrives(shared_host: Host) -> None:
    """0 to 255, each as it is."""

    def code(number: int) -> int:
        return shared_host.run("sh", "-c", f"exit {number}").returncode

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(code, range(256))) == list(range(256))
