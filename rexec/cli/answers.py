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
    found = [(neutral(rule.text), neutral(rule.about), rule.danger) for rule in rules(answer)]
    width = min(40, max((len(text) for text, about, _ in found if about), default=0))
    lines = []
    for text, about, danger in found:
        line = f"{text:<{width}}  # {about}" if about else text
        lines.append(output.alarming(line) if danger == "high" else line)
    return lines, 0


def _explain(answer: Result) -> tuple[list[str], int]:
    found = explanation(answer)
    return [neutral(text) for text in found.lines], found.exit_code
