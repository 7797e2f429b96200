"""``python -m tests.fuzz.run TARGET SECONDS``: fuzz one target, guided by coverage, for so long on the CPU.

Samples that reach something new are kept in build/fuzz/TARGET; one that breaks something is written
there as crash-..., and belongs into tests/fuzz/corpus/TARGET once it is mended.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=[
        *("rexec.auth", "rexec.copying", "rexec.policy", "rexec.protocol", "rexec.text"),
        *("rexec.client.command", "rexec.client.dispatch", "rexec.client.greeting", "rexec.client.trust"),
        *("rexec.server.orders", "rexec.server.seats"),
    ]
):
    from tests.fuzz.targets import CORPUS, TARGETS, Target
    from tests.tree import ROOT

FOLDER = ROOT / "build/fuzz"
LOOKS = 64  # samples between two looks at the clock
EVERY = 60.0  # seconds between two lines


def main() -> None:
    """Run until the time is over or something breaks."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    target = TARGETS[name]
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (folder / f"seed-{number:03}").write_bytes(seed)
    options = [
        f"-artifact_prefix={folder}/",
        "-max_len=4096",
        "-timeout=60",
        "-verbosity=0",
        "-len_control=20",
        *_words(folder, target),
    ]
    kept = CORPUS / name
    atheris.Setup(
        [sys.argv[0], *options, str(folder), *([str(kept)] if kept.is_dir() else [])],
        _counting(name, seconds),
    )
    atheris.Fuzz()


def _words(folder: Path, target: Target) -> list[str]:
    """Write the words of a target as a dictionary; one that has none needs none."""
    if not target.words:
        return []
    place = folder.with_suffix(".dict")
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    place.write_text("".join(f'"{word}"\n' for word in quoted))
    return [f"-dict={place}"]


def _counting(name: str, seconds: float) -> Callable[[bytes], None]:
    """Make what is run with each sample: it counts, tells how far it is, and ends when the time is over."""
    count = 0
    told = EVERY

    def run(data: bytes) -> None:
        nonlocal count, told
        TARGETS[name].try_it(data)
        count += 1
        spent = time.process_time() if count % LOOKS == 0 else 0.0
        if spent >= min(told, seconds):
            told += EVERY
            kept = len(os.listdir(FOLDER / name))
            print(f"{name}: {count} samples, {spent:.0f} s of CPU, {kept} kept, nothing broke", flush=True)
        if spent >= seconds:
            atexit._run_exitfuncs()
            os._exit(0)

    return run


if __name__ == "__main__":
    main()
