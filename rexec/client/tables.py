"""The tables of `config.toml`: what they may hold, and where in the text it is that does not belong there."""

from __future__ import annotations

from rexec.client.config import Config
from rexec.client.toml import read_plain
from rexec.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CLIENT: dict[str, tuple[type, ...]] = {
    "port": (int,),
    "user": (str,),
    "identity": (str, list),
    "env": (list,),
    "cwd": (str,),
    "timeout": (str, int, float),
    "no_tls": (bool,),
    "accept_new": (bool,),
    "connect_timeout": (str, int, float),
    "keep_going": (bool,),
    "no_resume": (bool,),
    "resume_for": (str, int, float),
    "keepalive": (str, int, float),
    "json": (bool,),
    "quiet": (bool,),
    "verbose": (bool,),
}
_HOST: dict[str, tuple[type, ...]] = {
    "address": (str,),
    "port": (int,),
    "user": (str,),
    "identity": (str, list),
    "no_tls": (bool,),
    "timeout": (str, int, float),
    "env": (list,),
}
_SERVER: dict[str, tuple[type, ...]] = {
    "allow_list": (str,),
    "listen": (str, list),
    "authorized_keys": (str,),
    "host_key": (str,),
    "tls_cert": (str,),
    "tls_key": (str,),
    "no_tls": (bool,),
    "drain": (str, int, float),
    "grace": (str, int, float),
    "keepalive": (str, int, float),
    "resume_for": (str, int, float),
    "resume_reset": (str, int, float),
    "keep_jobs": (str, int, float),
    "terse_denials": (bool,),
    "user": (str,),
    "audit": (str,),
    "audit_dir": (str,),
    "audit_size": (str, int),
    "verbose": (bool,),
    "max_strangers": (int,),
    "max_strangers_per_source": (int,),
    "max_sessions": (int,),
    "max_commands": (int,),
    "penalty_exempt": (str, list),
}

_WHOLE_MOST = 2**63  # as TOML has it; of one with thousands of digits Python makes no text


def parse_config(text: str, name: str) -> Config:
    """Return a checked configuration; errors name file and line."""
    tables = read_plain(text)
    if tables is None:
        tables = _read_all(text, name)
    config = Config()
    for table, content in tables.items():
        if table not in ("client", "hosts", "server") or not isinstance(content, dict):
            raise ConfigError(f"{name}:{_line(text, table)}: unknown table or key {table!a}")
    config.client = _checked(tables.get("client", {}), _CLIENT, "client", text, name)
    config.server = _checked(tables.get("server", {}), _SERVER, "server", text, name)
    for host, content in tables.get("hosts", {}).items():
        if not isinstance(content, dict):
            raise ConfigError(f"{name}:{_line(text, host, 'hosts')}: [hosts.NAME] is a table of its own")
        config.hosts[host] = _checked(content, _HOST, f"hosts.{host}", text, name)
    return config


def _read_all(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:  # of TOML, or of a number with thousands of digits
        raise ConfigError(f"{name}:{_placed(str(error), text)}") from None
    except RecursionError:
        raise ConfigError(f"{name}:{_placed('too many lists in lists', text)}") from None


def _checked(
    content: dict[str, Any], known: dict[str, tuple[type, ...]], table: str, text: str, name: str
) -> dict[str, Any]:
    for key, value in content.items():
        where = f"{name}:{_line(text, key, table)}"
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!a} in [{table}]", hint=f"known: {', '.join(known)}")
        wanted = known[key]
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not isinstance(value, wanted) or (isinstance(value, list) and not is_list):
            raise ConfigError(f"{where}: {key} wants {_kinds(wanted)}")
        if isinstance(value, bool) and bool not in wanted:
            raise ConfigError(f"{where}: {key} wants {_kinds(wanted)}")
        if isinstance(value, int) and abs(value) > _WHOLE_MOST:
            raise ConfigError(f"{where}: {key} is too large a number")
    return content


def _kinds(wanted: tuple[type, ...]) -> str:
    """Say what a key may hold."""
    names = {str: "a text in quotes", list: "a list of texts", bool: "true or false"}
    return " or ".join(dict.fromkeys(names.get(kind, "a number") for kind in wanted))


def _placed(message: str, text: str) -> str:
    """Put the place that a TOML parser names at the end in front, as in all messages of ours."""
    words, _, place = message.removesuffix(")").rpartition(" (at ")
    line, _, column = place.removeprefix("line ").partition(", column ")
    if not (line.isdecimal() and column.isdecimal()):  # "at end of document", or no place at all
        line, column = str(text.count("\n") + 1), "1"
    return f"{line}:{column}: {(words or message)[:1].lower()}{(words or message)[1:]}"


def _line(text: str, key: str, table: str = "") -> int:
    """Find the line of a key that the TOML parser does not tell: the first that begins with it."""
    inside = not table
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            head = bare.strip("[] \t").replace('"', "").split("]")[0].strip()
            if not table and head.split(".")[0] == key:
                return number
            inside = head == table
        elif inside and bare.partition("=")[0].strip().strip("\"'") == key:
            return number
    return 1
