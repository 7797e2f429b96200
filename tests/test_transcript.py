"""The session that the documentation shows is what the prompt does."""

from __future__ import annotations

import subprocess
import sys

from tests.tree import ROOT, text_of


def test_the_transcript_of_the_documentation_is_what_happens() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "transcript.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = text_of(ROOT / "docs" / "howto" / "prompt.md")
    shown = page.partition("```text\n")[2].partition("```\n")[0]
    assert done.stdout == shown
