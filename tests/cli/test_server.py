"""`rexec-server` from its command line: what is refused before anything is served, and `authorize`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.auth.authorized import parse_authorized
from rexec.auth.private import generate, serialize_private
from rexec.cli.server import main


@pytest.fixture
def allow_list(tmp_path: Path) -> str:
    path = tmp_path / "cmds.txt"
    path.write_text("true\n")
    path.chmod(0o644)
    return str(path)


def refused(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command line that must not serve; return its one line of error."""
    assert main(words) == 2
    found = capfd.readouterr()
    lines = [line for line in found.err.splitlines() if " made the host key " not in line]
    assert found.out == ""
    assert 1 <= len(lines) <= 2
    assert all(line.startswith("rexec-server: ") and line.isprintable() for line in lines)
    return lines[0]


def test_a_server_without_a_list_does_not_start(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    assert "no --allow-list" in refused(capfd, *home)
    assert "no such file" in refused(capfd, *home, "--allow-list", str(tmp_path / "none"))


@pytest.mark.parametrize(
    "options",
    [
        ("--listen", "127.0.0.1:x"),
        ("--listen", "0.0.0.0:1", "--no-tls"),
        ("--tls-cert", "/x"),
        ("--drain", "soon"),
        ("--grace", "0"),
        ("--config", "/nowhere"),
        ("--host-key", "/nowhere"),
        ("--authorized-keys", "/nowhere"),
        ("--home", ""),
        ("--unknown",),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, allow_list: str, options: tuple[str, ...]
) -> None:
    """cli.md: "A missing or wrong allow list, key, port in use, address that isn't ours: one line, exit
    2"."""
    refused(capfd, "--home", str(tmp_path / "home"), "--allow-list", allow_list, *options)


@pytest.mark.parametrize("option", ["listen", "drain", "keepalive", "resume_for", "keep_jobs", "audit_size"])
def test_a_value_that_is_none_names_its_option(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, allow_list: str, option: str
) -> None:
    """In `config.toml` too, where nothing else would lead to the place."""
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\n{option} = "1:x"\n')
    said = refused(capfd, "--config", str(config), "--allow-list", allow_list)
    assert f"--{option.replace('_', '-')}" in said


def test_a_key_is_authorised_for_a_name(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = generate("bob's words")
    public = tmp_path / "key.pub"
    public.write_text(key.public.line("bob's words") + "\n")
    home = tmp_path / "home"
    assert main(["--home", str(home), "authorize", "alice", str(public), "--group", "ops"]) == 0
    path = home / "authorized_keys"
    assert capfd.readouterr().out == f"authorised {key.public.fingerprint()} as alice in {path}\n"
    keys = parse_authorized(path.read_text(), "x", "me")
    principal = keys.judge(key.public, "", None, 0.0)
    assert principal is not None
    assert (principal.user, tuple(principal.groups)) == ("alice", ("ops",))
    assert main(["--home", str(home), "authorize", "alice", str(public), "--group", "ops"]) == 0
    assert capfd.readouterr().out.endswith(" already\n")
    assert main(["authorize", "--home", str(home), "alice", str(public), "--group", "ops"]) == 0
    assert capfd.readouterr().out.endswith(" already\n")
    assert (
        main(["--home", "/nowhere", "authorize", "bob", str(public), "--home", str(tmp_path / "other")]) == 0
    )
    assert capfd.readouterr().out.endswith(f" as bob in {tmp_path}/other/authorized_keys\n")
    assert len(path.read_text().splitlines()) == 1


def test_what_is_no_key_or_no_name_is_not_authorised(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """security.md, People's terminals: "Control characters ... in user names"."""
    public = tmp_path / "key.pub"
    public.write_text(generate().public.line() + "\n")
    home = ("--home", str(tmp_path / "home"))
    for name in ("a b", "-x", 'a"b', "a\nb", "\x1b[2J", ""):
        refused(capfd, *home, "authorize", "--", name, str(public))
    public.write_bytes(b"\xff nonsense")
    assert "is not known" in refused(capfd, *home, "authorize", "alice", str(public))
    public.write_bytes(b"nonsense")
    assert ": not a public key: a type" in refused(capfd, *home, "authorize", "alice", str(public))
    public.write_bytes(serialize_private(generate(), None))
    assert "this is a private key" in refused(capfd, *home, "authorize", "alice", str(public))
    assert not (tmp_path / "home" / "authorized_keys").exists()
