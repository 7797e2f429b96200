"""Programs that need a shell at the far end, and plain pipes."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable

import pytest

from tests.system.programs.conftest import REXEC_SSH, Far

pytestmark = pytest.mark.system
GIB = 1 << 30


def parallel(host: Far, *words: str) -> list[str]:
    return ["parallel", "--will-cite", "--ssh", host.shell, "-S", "127.0.0.1", *words]


def env_of(host: Far) -> dict[str, str]:
    return {"PARALLEL_HOME": str(host.near / "parallel"), "LC_ALL": "C"}


def test_parallel_transfers_and_returns(far: Callable[[str], Far]) -> None:
    host = far("@shell\n    cwd {tree}\nrsync --server ...\n    cwd {tree}\n")
    names = ["one", "two", "three"]
    for name in names:
        (host.near / name).write_text(f"{name}\n" * 1_000)
    command = "tr a-z A-Z < {} > {}.out"
    words = parallel(host, "--transfer", "--return", "{}.out", "--cleanup", "-j2", command, ":::", *names)
    host.works(*words, env=env_of(host))
    for name in names:
        assert (host.near / f"{name}.out").read_text() == f"{name.upper()}\n" * 1_000
    assert list(host.tree.iterdir()) == []


def test_parallel_without_a_shell_hears_which_rule_it_needs(far: Callable[[str], Far]) -> None:
    host = far("echo ...\n")
    said = host.fails(*parallel(host, "echo", ":::", "x"), env=env_of(host))
    assert "needs a shell (exec): only the rule @shell gives one" in said


def test_a_tree_of_a_gib_through_tar_and_tar(far: Callable[[str], Far]) -> None:
    host = far("tar xf - -C {tree}\n    noexec\n")
    source = host.near / "source"
    source.mkdir()
    block = hashlib.sha512(b"block").digest() * 16_384  # 1 MiB
    with (source / "large").open("wb") as file:
        for number in range(GIB >> 20):
            file.write(number.to_bytes(4, "big") + block[4:])
    (source / "small").write_text("x")
    with subprocess.Popen(["tar", "cf", "-", "-C", str(source), "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            [REXEC_SSH, "-p", str(host.port), "127.0.0.1", "tar", "xf", "-", "-C", str(host.tree)],
            stdin=tar.stdout,
            env=host.environment(),
            capture_output=True,
            timeout=110,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    subprocess.run(["cmp", source / "large", host.tree / "large"], check=True)
    assert (host.tree / "small").read_text() == "x"


def test_tar_elsewhere_is_denied(far: Callable[[str], Far]) -> None:
    host = far("tar xf - -C {tree}\n    noexec\n")
    for words in (["-C", str(host.outside)], ["-C", str(host.tree), "--to-command=sh"], []):
        said = host.fails(REXEC_SSH, "-p", str(host.port), "127.0.0.1", "tar", "xf", "-", *words)
        assert "denied: " in said
        assert "tar" in said


def test_mercurial_clones_and_pushes(far: Callable[[str], Far]) -> None:
    host = far("hg -R {{path:{tree}/** rw}} serve --stdio\n")
    hg = ("hg", "--config", f"ui.ssh={host.shell}", "--config", "ui.username=me")
    host.works("hg", "init", host.tree / "a b")
    url = f"ssh://127.0.0.1/{host.tree}/a b"
    host.works(*hg, "clone", "-q", url, "one")
    (host.near / "one" / "x").write_text("x")
    host.works(*hg, "commit", "-q", "-A", "-m", "x", cwd=host.near / "one")
    host.works(*hg, "push", "-q", cwd=host.near / "one")
    host.works(*hg, "clone", "-q", url, "two")
    assert (host.near / "two" / "x").read_text() == "x"
    said = host.fails(*hg, "clone", f"ssh://127.0.0.1/{host.outside}/x", "three")
    assert "denied: " in said
