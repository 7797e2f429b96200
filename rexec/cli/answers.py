"""What `--list` and `--explain` print."""

from __future__ import annotations

import json

from rexec.cli import output
from rexec.client.answers import explanation, rules
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.options import Line
    from rexec.client.result import Result


def show(line: Line, answer: Result) -> int:
    """Print the server's answer; return the exit code. Raises `RemoteProtocolError`."""
    lines, code = _list(answer) if line.lists else _explain(answer)
    if line.json:
        lines = [json.dumps(json.loads(answer.stdout))]
    output.show("".join(f"{text}\n" for text in lines))
    return code


def _list(answer: Result) -> tuple[list[str], int]:
    texts = [(neutral(rule.text), neutral(rule.about)) for rule in rules(answer)]
    width = min(40, max((len(text) for text, about in texts if about), default=0))
    return [f"{text:<{width}}  # {about}" if about else text for text, about in texts], 0


def _explain(answer: Result) -> tuple[list[str], int]:
    found = explanation(answer)
    return [neutral(text) for text in found.lines], found.exit_code
