"""The floors of the architecture: imports go down, quiet rooms are quiet, one file makes a Permit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.floors import (
    FLOORS,
    FORBIDDEN_NAMES,
    LINES_MAX,
    QUIET,
    missing,
    noise,
    permits,
    room_of,
    wrong_imports,
)
from tests.tree import PACKAGE, ROOT, modules, text_of

PERMIT_MAKER = "rexec.policy.decide"

# a one-shot client takes none of these: docs/decisions say what each costs
HEAVY = {
    *("argparse", "asyncio", "bcrypt", "click", "cryptography", "dataclasses", "json", "logging"),
    *("pathlib", "prompt_toolkit", "subprocess", "typing"),
}
LIGHT = ["rexec", "rexec.cli.copies"]
# nor these, one by one not dear: docs/decisions/0012
DEAR = {
    *("base64", "collections", "contextlib", "copyreg", "datetime", "enum", "functools", "hashlib", "re"),
    *("selectors", "signal", "socket", "ssl", "string", "threading", "tomllib", "warnings"),
}
COLD = [
    *("rexec.protocol.connection", "rexec.cli.main", "rexec.cli.oneshot", "rexec.client.connect"),
    *("rexec.client.session", "rexec.client.command", "rexec.client.identity", "rexec.client.agent"),
    *("rexec.cli.copy", "rexec.cli.jobs", "rexec.cli.ssh", "rexec.cli.ssh.direct", "rexec.cli.ssh.opening"),
    *("rexec.client.master", "rexec.transport.passage"),
]
# what a connection needs is imported once it was begun, and what a command needs while the server judges
BEFOREHAND = ["rexec.cli.main", "rexec.cli.destination", "rexec.transport.approach"]
OF_OS = {"os", "posixpath", "stat", "_collections_abc"}
OF_TLS = {"_ssl", "_hashlib", "rexec.protocol.frames", "rexec.auth.keys", "rexec.client.session"}

# by way of a master nothing is imported that a connection needs
LIGHTER = ["rexec.cli.ssh", "rexec.cli.ssh.shared", "rexec.cli.ssh.configuration", "rexec.cli.guest"]
OF_A_CONNECTION = {
    *(*OF_OS, *OF_TLS, "errno", "pwd", "rexec.cli.output", "rexec.cli.ssh.tokens"),
    *("rexec.client.config", "rexec.client.door"),  # the one while the command runs, the other for a master
}

EVERY = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in modules()]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


@pytest.mark.parametrize("path", EVERY)
def test_imports_go_down(path: Path) -> None:
    assert list(wrong_imports(text_of(path), module_name(path), package_name(path))) == []


@pytest.mark.parametrize("path", EVERY)
def test_quiet_rooms_touch_nothing(path: Path) -> None:
    name = module_name(path)
    if FLOORS[room_of(name) or ""] <= QUIET:
        assert list(noise(text_of(path), name)) == []


def test_only_decide_makes_a_permit() -> None:
    """security.md, Around the allow list: asking for a terminal, a prompt, a copy or a detached job
    instead, to get around policy, limits or recording. There is one way to a permit."""
    makers = {module_name(path) for path in modules() if list(permits(text_of(path)))}
    assert makers <= {PERMIT_MAKER}
    assert makers or not (PACKAGE / "policy" / "decide.py").exists()


@pytest.mark.parametrize("path", EVERY)
def test_modules_are_short_and_well_named(path: Path) -> None:
    assert len(text_of(path).splitlines()) < LINES_MAX, "look for the seam"
    assert not FORBIDDEN_NAMES & set(path.relative_to(PACKAGE).with_suffix("").parts)


@pytest.mark.parametrize("module", LIGHT)
def test_imports_nothing_heavy(module: str) -> None:
    assert not HEAVY & imported_by(module)


@pytest.mark.parametrize("module", COLD)
def test_a_client_of_one_command_imports_nothing_dear(module: str) -> None:
    assert not (HEAVY | DEAR) & imported_by(module)


@pytest.mark.parametrize("module", BEFOREHAND)
def test_nothing_of_tls_is_imported_before_it_is_connected(module: str) -> None:
    assert not (HEAVY | DEAR | OF_OS | OF_TLS) & imported_by(module)


@pytest.mark.parametrize("module", LIGHTER)
def test_a_guest_of_a_master_imports_nothing_of_a_connection(module: str) -> None:
    assert not (HEAVY | DEAR | OF_A_CONNECTION) & imported_by(module)


@pytest.mark.parametrize("path", EVERY)
def test_what_is_taken_in_the_place_of_another_module_has_what_is_used(path: Path) -> None:
    assert list(missing(text_of(path))) == []


def imported_by(module: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print(*sys.modules)"
    # without site-packages: what some other package loads at start-up is not ours
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_the_architecture_page_shows_every_room_on_its_floor() -> None:
    rows = text_of(ROOT / "docs" / "explanation" / "architecture.md").splitlines()
    for room, floor in FLOORS.items():
        row = next(row for row in rows if row.startswith(f"| {floor} "))
        assert f"`{room}" in row, room


# --- the rules themselves, each tried on a sample with one flaw ----------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rexec.protocol.wire", "import rexec.transport.tcp"),
        ("rexec.protocol.wire", "from rexec.auth import keys"),
        ("rexec.protocol.wire", "from rexec import auth"),
        ("rexec.protocol.wire", "from ..auth import keys"),
        ("rexec.protocol.wire", "def late():\n    import rexec.cli.main"),
        ("rexec.protocol.wire", "importlib.import_module('rexec.server')"),
        ("rexec.protocol.wire", "if TYPE_CHECKING:\n    pass\nelse:\n    import rexec.server"),
        ("rexec.transport.tcp", "import rexec.process.child"),
        ("rexec.transport.tcp", "import rexec.files"),
        ("rexec.server.greet", "from rexec.client import session"),
        ("rexec.server.greet", "import rexec"),
        ("rexec.cli.main", "from rexec import connect"),
        ("rexec.limits", "from rexec.errors import RexecError"),
        ("rexec.limits", "import rexec.nowhere"),
        ("rexec.nowhere.thing", ""),
    ],
)
def test_an_import_that_does_not_go_down_is_found(module: str, source: str) -> None:
    assert list(wrong_imports(source, module, module.rpartition(".")[0]))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rexec.protocol.wire", "from rexec import limits"),
        ("rexec.protocol.wire", "from . import frames\nfrom .frames import Frame"),
        ("rexec.protocol.wire", "if TYPE_CHECKING:\n    from rexec.client.result import Result"),
        ("rexec.protocol.wire", "if typing.TYPE_CHECKING:\n    import rexec.server"),
        ("rexec.cli.main", "from rexec.client import session"),
        ("rexec.server.greet", "from rexec import __version__"),
        ("rexec", "from rexec.client.session import connect"),
    ],
)
def test_an_import_that_goes_down_is_fine(module: str, source: str) -> None:
    assert list(wrong_imports(source, module, module.rpartition(".")[0] or "rexec")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path",
        "from socket import socket",
        "def late():\n    import threading",
        "import secrets",
        "import time\ntime.time()",
        "import time\ntime.gmtime()",
        "from time import monotonic",
        "from time import localtime\nlocaltime()",
        "import posixpath\nposixpath.realpath('x')",
        "from posixpath import abspath",
        "from io import open",
        "from datetime import datetime\ndatetime.now()",
        "open('x')",
        "print('x')",
        "import sys\nsys.stderr",
        "import click",
        "from cryptography import x509",
    ],
)
def test_noise_in_a_quiet_room_is_heard(source: str) -> None:
    assert list(noise(source, "rexec.auth.keys"))


@pytest.mark.parametrize(
    "source",
    [
        "import hashlib, struct, ipaddress",
        "import time\ntime.mktime(when)\ntime.gmtime(0)",
        "from posixpath import join, normpath",
        "def sign():\n    from cryptography.hazmat.primitives import hashes",
        "if TYPE_CHECKING:\n    import os",
        "date.strftime('%Y')",
    ],
)
def test_quiet_code_is_not_heard(source: str) -> None:
    assert list(noise(source, "rexec.auth.keys")) == []


def test_cryptography_stays_in_its_room() -> None:
    assert list(noise("def late():\n    import cryptography", "rexec.policy.rules"))


@pytest.mark.parametrize("use", ["os.path.join('a')", "os.fsencode('a')"])
def test_what_only_the_documented_module_has_is_missed(use: str) -> None:
    block = "if TYPE_CHECKING:\n    import os\nelse:\n    import posix as os\n"
    assert list(missing(block + use))
    assert not list(missing("import os\n" + use))


@pytest.mark.parametrize(
    "source",
    [
        "Permit(rule)",
        "rules.Permit(rule)",
        "Permit.__new__(Permit)",
        "Permit._make(fields)",
        "class Mine(Permit): pass",
        "dataclasses.replace(permit, argv=mine)",
        "replace(self._permit, argv=mine)",
        "from rexec.policy.rules import Permit as Yes",
        "Yes = rules.Permit",
    ],
)
def test_every_way_to_make_a_permit_is_seen(source: str) -> None:
    assert list(permits(source))


def test_holding_a_permit_is_not_making_one() -> None:
    source = "def start(permit: Permit) -> Child:\n    match permit:\n        case Permit(path=p): ...\n"
    assert list(permits(source)) == []
