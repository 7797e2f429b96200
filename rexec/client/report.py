"""A result as one line of JSON."""

from __future__ import annotations

import base64
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.client.result import Result

KEYS = (
    "state", "exit_code", "signal", "stdout_bytes", "stderr_bytes", "truncated", "lingered", "wall_s",
    "rule", "error",
)  # fmt: skip


def as_json(result: Result, *, output: bool) -> bytes:
    """Return the object and a newline; every key is always there. `output`: with what was written."""
    found: dict[str, object] = {key: getattr(result, key) for key in KEYS}
    if output:
        _add(found, "stdout", result.stdout)
        _add(found, "stderr", result.stderr)
    return json.dumps(found).encode() + b"\n"


def _add(found: dict[str, object], name: str, data: bytes) -> None:
    """Add output as text where it is UTF-8, else in base64."""
    found[name], found[f"{name}_base64"] = None, None
    try:
        found[name] = data.decode()
    except UnicodeDecodeError:
        found[f"{name}_base64"] = base64.b64encode(data).decode()
