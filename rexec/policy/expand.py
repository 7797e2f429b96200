"""An allow list with its includes and profiles written out: ordinary rules, and the same decisions."""

from __future__ import annotations

from rexec.policy import profiles
from rexec.policy.directives import DEFAULT_PATH
from rexec.policy.source import Source
from rexec.policy.tokens import Kind, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.disk import Disk
    from rexec.policy.tokens import Token

_GLOBS = "*?"
_EVERYONE = "[everyone]"


def expand(text: str, name: str, disk: Disk) -> str:
    """Write out an allow list that `parse` has read without errors; only the labels of rules change."""
    return "\n".join(_Writer(disk).lines(Source.of(name, "", text))) + "\n"


class _Writer:
    """One pass, in the order in which `parse` reads."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.section = _EVERYONE
        self.path: tuple[str, ...] = DEFAULT_PATH

    def lines(self, source: Source) -> Iterator[str]:
        lines = source.lines[:-1] if source.lines[-1] == "" else source.lines
        for line in lines:
            directive = scan(line, also=_GLOBS) if line.startswith(("%use", "%include", "%path")) else []
            match directive[0].text if directive else "":
                case "%include":
                    yield from self._included(directive[1], source)
                case "%use":
                    yield f"# {line}"
                    yield from profiles.expand(directive[0], directive[1:], self._is_there)
                case _:
                    self._heed(line, directive)
                    yield line

    def _heed(self, line: str, directive: list[Token]) -> None:
        if directive and directive[0].text == "%path":
            self.path = tuple(directive[1].text.split(":"))
        elif line.startswith("["):
            self.section = line

    def _included(self, token: Token, within: Source) -> Iterator[str]:
        """Write the included files; behind them the section is again the one that they began in."""
        section = self.section
        for source in self.disk.included(token.text, within, globs=token.kind is Kind.WORD):
            yield f"# {source.name}"
            yield from self.lines(source)
            if self.section != section:
                yield section
            self.section = section

    def _is_there(self, place: str) -> bool:
        return self.disk.find(place, self.path) is not None
