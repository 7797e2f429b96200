"""Which programs the kernel starts for a program."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from rexec.process.interpreters import interpreters


def test_a_dynamic_program_has_a_loader() -> None:
    (loader,) = interpreters("/bin/sh")
    assert os.access(loader, os.X_OK)
    assert "ld" in os.path.basename(loader)


def test_the_loader_itself_has_none() -> None:
    (loader,) = interpreters("/bin/sh")
    assert list(interpreters(loader)) == []


def test_a_script_has_its_interpreter_and_that_ones_loader(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#! {sys.executable} -I\nprint()\n")
    first, second = interpreters(str(script))
    assert first == sys.executable
    assert second in interpreters("/bin/sh")


def test_scripts_of_scripts_end(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{script}\n")
    assert 0 < len(list(interpreters(str(script)))) < 10


def elf(form: int, loader: bytes, *, size: int = 0) -> bytes:
    """An ELF file with one program header, which names a loader (elf(5))."""
    if form == 2:
        head = b"\x7fELF\x02\x01\x01".ljust(32, b"\0") + struct.pack("<QQIHHH", 64, 0, 0, 64, 56, 1)
        head = head.ljust(64, b"\0")
        return head + struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, size or len(loader), 0, 1) + loader
    head = b"\x7fELF\x01\x01\x01".ljust(28, b"\0") + struct.pack("<IIIHHH", 52, 0, 0, 52, 32, 1)
    head = head.ljust(52, b"\0")
    return head + struct.pack("<IIIIIIII", 3, 84, 0, 0, size or len(loader), 0, 4, 1) + loader


def test_both_widths_are_known(tmp_path: Path) -> None:
    for form in (1, 2):
        file = tmp_path / "program"
        file.write_bytes(elf(form, b"/lib/loader\0"))
        assert list(interpreters(str(file))) == ["/lib/loader"]


def test_broken_files_have_none(tmp_path: Path) -> None:
    """security.md, Protocol: "judged before allocation": a header may claim anything."""
    whole = elf(2, b"/lib/loader\0")
    contents = [b"", b"#!", b"#!\n", b"#! \n", b"\x7fELF", b"\x7fELF\x09" + whole[5:], bytes(100)]
    contents += [whole[:cut] for cut in range(5, len(whole) - 12)]
    contents.append(elf(2, b"", size=1 << 62))
    file = tmp_path / "program"
    for content in contents:
        file.write_bytes(content)
        assert list(interpreters(str(file))) == [], content
    file.write_bytes(whole[:32] + b"\xff" * 8 + whole[40:])
    assert list(interpreters(str(file))) == []


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in (tmp_path / "none", tmp_path, tmp_path / "fifo"):
        assert list(interpreters(str(name))) == []
