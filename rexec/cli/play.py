"""`rexec-audit play`: a recording again, in its time."""

from __future__ import annotations

import os
import sys
import time

import click

from rexec.audit import asciicast
from rexec.audit.asciicast import Event
from rexec.audit.screen import Filter
from rexec.cli.output import is_of_output
from rexec.client.config import seconds
from rexec.errors import ConfigError, UsageError
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SPEED_MAX = 1_000.0
_CONTEXT = 60  # characters around what was searched for
_KINDS = {asciicast.OUTPUT: "", asciicast.INPUT: " (typed)"}


@click.command("play")
@click.argument("file")
@click.option("--speed", type=float, default=1.0, metavar="N", help="So many times as fast.")
@click.option("--max-idle", metavar="TIME", help="Wait no longer than this where nothing happened.")
@click.option("--search", metavar="TEXT", help="Print when TEXT was seen or typed; replay nothing.")
@click.option("--raw", is_flag=True, help="Let every escape sequence reach the terminal.")
@click.pass_context
def play_command(
    context: click.Context, file: str, speed: float, max_idle: str | None, search: str | None, raw: bool
) -> None:
    """Replay the recording FILE; what could steer the terminal is left out."""
    if not 0 < speed <= _SPEED_MAX:
        raise UsageError(f"--speed {speed:g} is not more than 0 and at most {_SPEED_MAX:g}")
    if search == "":
        raise UsageError("--search looks for nothing")
    longest = None if max_idle is None else seconds(max_idle)
    try:
        with open(file, "rb") as lines:
            _, events = asciicast.read(lines, neutral(os.path.basename(file)))
            if search is not None:
                context.exit(0 if _search(events, search) else 1)
            _play(events, speed, longest, raw)
    except KeyboardInterrupt:
        context.exit(130)  # 128 + SIGINT
    except OSError as error:
        if is_of_output(error):
            raise
        raise ConfigError(f"{file}: {(error.strerror or str(error)).lower()}") from None


def _play(events: Iterator[Event], speed: float, longest: float | None, raw: bool) -> None:
    screen = Filter()
    shown: Callable[[str], str] = str if raw else screen.feed
    due, before = time.monotonic(), 0.0
    try:
        for event in events:
            wait = max(0.0, event.seconds - before)
            before = max(before, event.seconds)
            due += (wait if longest is None else min(wait, longest)) / speed
            if event.kind == asciicast.OUTPUT:
                _put_at(due, shown(event.text))
    finally:
        if not raw and sys.stdout.isatty():
            _put_at(0, screen.finish())


def _put_at(due: float, text: str) -> None:
    time.sleep(max(0.0, due - time.monotonic()))
    sys.stdout.write(text)
    sys.stdout.flush()


def _search(events: Iterator[Event], text: str) -> bool:
    """Print each time at which the text was complete, with what stands around it."""
    screens = {kind: Filter() for kind in _KINDS}
    before = dict.fromkeys(_KINDS, "")
    found = False
    for event in events:
        if event.kind not in screens:
            continue
        seen = before[event.kind] + _visible(screens[event.kind].feed(event.text))
        position, end = seen.find(text), 0
        while position >= 0:
            found, end = True, position + len(text)
            around = " ".join(seen[max(0, position - _CONTEXT) : end + _CONTEXT].split())
            click.echo(f"{event.seconds:.3f}{_KINDS[event.kind]}: {neutral(around)}")
            position = seen.find(text, end)
        before[event.kind] = seen[max(end, len(seen) - len(text) + 1) :]
    return found


def _visible(text: str) -> str:
    """Return text that passed the filter without what moves and colours it."""
    import re

    return re.sub(r"\x1b(?:\[[0-9;:?]*[@-~]|[()].|.)|[\b\x0e\x0f]", "", text)
