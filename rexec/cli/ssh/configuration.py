"""A file in the format of ssh_config(5): only for `-F`, and only what leads to a host.

`Host` blocks with patterns count, and of each setting the first that is found. What stands in a `Match`
block is passed over up to the next `Host`, and so are `Include` and all keywords but those of
`keywords.IN_FILE`: such a file is rarely about rexec alone.
"""

from __future__ import annotations

from rexec.auth.patterns import list_matches, matches
from rexec.cli.ssh.keywords import IN_FILE, apply, parted
from rexec.cli.ssh.settings import words_of
from rexec.errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.ssh.settings import Settings

NOTHING = ("none", "/dev/null")


def read_file(settings: Settings) -> None:
    """Let the file of `-F` set what the command line has not. Raises `ConfigError`."""
    path = settings.config_file
    if path is None or path in NOTHING:
        return
    from rexec import files
    from rexec.limits import CONFIG_MAX

    obey(settings, files.read_any(path, CONFIG_MAX).decode("utf-8", "surrogateescape"), path)


def obey(settings: Settings, text: str, name: str) -> None:
    """Obey the lines that are for the host. Raises `ConfigError` with the line."""
    is_for_us = True
    host = (settings.host or "").lower()
    for number, line in enumerate(text.split("\n"), 1):
        keyword, value = parted(line)
        if not keyword or keyword.startswith("#"):
            continue
        try:
            if keyword == "host":
                items = [item.lower() for item in words_of(value)]
                is_for_us = list_matches(items, lambda item: matches(host, item))
            elif keyword == "match":
                is_for_us = False
            elif is_for_us and keyword in IN_FILE:
                apply(settings, keyword, value)
        except UsageError as error:
            raise ConfigError(f"{name}:{number}: {error}") from None
