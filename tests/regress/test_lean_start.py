"""What a whole client has imported when it ends: each module is a part of the time that people wait."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

from tests.regress.conftest import Host
from tests.test_floors import DEAR, HEAVY, OF_OS
from tests.tree import ROOT

OURS_MOST = 49  # modules of rexec that one command over TLS takes
SIGNING = {"cryptography", "cryptography.hazmat.bindings._rust"}  # and no class around it
CODE = f"""
import posix, sys
sys.path += [{str(ROOT)!r}, {sysconfig.get_path("purelib")!r}]
end = posix._exit
def tell(code):
    posix.write(2, " ".join(["loaded", *sys.modules]).encode())
    end(code)
posix._exit = tell
from rexec.cli.main import main
main()
"""


def loaded(host: Host, *words: str) -> set[str]:
    client = [sys.executable, "-I", "-S", "-c", CODE, host.addresses[0], *words]
    done = subprocess.run(
        client, env=host.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    said, _, names = done.stderr.decode().partition("loaded ")
    assert said == ""
    return set(names.split())


def test_a_command_takes_few_modules_and_none_that_is_dear(shared_host: Host) -> None:
    names = loaded(shared_host, "true")
    assert not (HEAVY - {"cryptography"} | DEAR | OF_OS | {"site", "encodings.idna"}) & names
    assert names >= SIGNING
    assert "cryptography.hazmat.primitives" not in names
    assert "rexec.client.session" in names
    ours = sorted(name for name in names if name.startswith("rexec"))
    assert len(ours) <= OURS_MOST, ours
