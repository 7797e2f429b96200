"""64 MiB of random bytes come back from `cat` as they went, while both directions flow."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from rexec.limits import MIB
from tests.regress.conftest import RULES, Host

SIZE = 64 * MIB


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bulk") / "random"
    path.write_bytes(random.Random(2).randbytes(SIZE))
    return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
def test_bulk_through_cat_is_byte_identical(
    make_host: Callable[..., Host], bulk: Path, tmp_path: Path, tls: bool
) -> None:
    """Promise: "64 MiB of random bytes through `cat`, both ways at once, byte-identical"."""
    options = () if tls else ("--no-tls",)
    host = make_host(RULES).start(*options)
    back = tmp_path / "back"
    with bulk.open("rb") as source, back.open("wb") as sink:
        client = host.popen("cat", options=options, stdin=source, stdout=sink)
        _, err = client.communicate()
    assert (client.returncode, err) == (0, b"")
    assert digest(back) == digest(bulk)
    assert host.wait_for("rexec-server: end ").endswith(f"bytes={SIZE}")
