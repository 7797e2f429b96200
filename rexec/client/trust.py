"""Whether a server is who it should be: its public key, against what this user knows."""

from __future__ import annotations

from rexec import files
from rexec.auth.keys import parse_public_line
from rexec.errors import ConfigError, RexecError, TrustError
from rexec.limits import KEY_FILE_MAX, KEY_LIST_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.auth import known
    from rexec.auth.keys import PublicKey
    from rexec.client.config import Target

    Ask = Callable[[str, str], bool]  # host, fingerprint -> whether the person says yes


def check_server(target: Target, key: PublicKey, ask: Ask | None, say: Callable[[str], None]) -> None:
    """Return if the key is the server's; raises `TrustError`. `ask` is None where nobody can be asked."""
    if target.address.is_local and _is_own(target.home, key):
        return
    from rexec.auth import known  # after the server of the same user, who needs none of it

    path = target.known_hosts or files.beneath(target.home, "known_hosts")
    address = target.address
    host, port = (str(address), None) if address.path else (address.host, address.port)
    keeps = path != files.NULL
    text = files.read_trusted(path, KEY_LIST_MAX) if keeps and files.stamp(path) is not None else ""
    verdict = known.verdict(known.parse_known(text, path), host, port, key)
    match verdict.trust:
        case known.Trust.MATCH:
            return
        case known.Trust.NEW:
            _first_contact(target, key, ask if target.asks else None)
            if keeps:
                _keep(target, path, known.known_line(host, port, key))
            if target.accept_new:
                what = "now known" if keeps else "taken, and not kept"
                say(f"{target.name}: new key {key.fingerprint()} is {what}")
        case known.Trust.REVOKED:
            raise TrustError(f"{target.name}: the server's key {key.fingerprint()} is revoked in {path}")
        case known.Trust.CHANGED:
            raise _changed(target, key, path, verdict)


def _keep(target: Target, path: str, line: str) -> None:
    if target.known_hosts is None:
        files.ensure_home(target.home)
    files.append_line(path, line)


def _is_own(home: str, key: PublicKey) -> bool:
    """Whether this is the server of the same user: its key stands in our own home."""
    path = files.beneath(home, "host_ed25519.pub")
    if files.stamp(path) is None:
        return False
    try:
        return parse_public_line(files.read_trusted(path, KEY_FILE_MAX))[0] == key
    except (ConfigError, ValueError):
        return False


def _first_contact(target: Target, key: PublicKey, ask: Ask | None) -> None:
    if target.accept_new:
        return
    if ask is None:
        raise TrustError(
            f"{target.name}: the server's key {key.fingerprint()} is not known",
            hint=f"compare it with what the server printed, then say {target.how_to_accept}",
        )
    if not ask(target.name, key.fingerprint()):
        raise TrustError(f"{target.name}: the server's key was not accepted")


def _changed(target: Target, key: PublicKey, path: str, verdict: known.Verdict) -> RexecError:
    lines = ",".join(str(number) for number in verdict.lines)
    old = ", ".join(verdict.fingerprints)
    return TrustError(
        f"{target.name}: the server's key has changed: {path}:{lines} has {old}, the server showed "
        f"{key.fingerprint()}; somebody may be in between",
        hint=f"if the change is meant: sed -i '{'d;'.join(str(n) for n in verdict.lines)}d' {path}",
    )
