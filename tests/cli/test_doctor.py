"""`rexec-server doctor`: one line for each thing that a server needs, and nothing is changed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.auth.private import generate, serialize_private
from rexec.cli.server import main
from rexec.server import doctor
from rexec.server.occupants import Occupant
from tests.regress.conftest import RULES, Host
from tests.regress.warm import COLD


class Patient:
    """A home that is well, a list, and what is said about them."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        key = generate("host")
        self.host_key = self.write("home/host_ed25519", serialize_private(key, None), 0o600)
        self.keys = self.write("home/authorized_keys", (key.public.line("me") + "\n").encode(), 0o600)
        self.allow_list = self.write("cmds.txt", b"true\n    timeout 10s\n", 0o644)
        self.options = ["--home", str(self.home), "--allow-list", str(self.allow_list)]
        self.options += ["--listen", "127.0.0.1:0"]

    def write(self, name: str, data: bytes, mode: int) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def tree(self) -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in self.folder.rglob("*"))

    def examine(self, *options: str, code: int) -> dict[str, str]:
        """Return the lines by what each is about; those of a kind are joined."""
        before = self.tree()
        assert main(("doctor", *self.options, *options)) == code
        assert self.tree() == before
        said = self._capfd.readouterr()
        assert said.err == ""
        found: dict[str, str] = {}
        for line in said.out.splitlines():
            level, about, text = line.split(": ", 2)
            assert level in ("ok", "warning", "error")
            found[about] = found.get(about, "") + f"{level}: {text}\n"
        levels = {"error": 2, "warning": 1, "ok": 0}
        assert code == max(levels[line.split(":")[0]] for line in said.out.splitlines())
        return found


@pytest.fixture
def patient(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Patient:
    # whether root has all rights is no matter of a home
    monkeypatch.setattr(doctor, "_LOOKS", tuple(look for look in doctor._LOOKS if look.__name__ != "_user"))
    return Patient(tmp_path, capfd)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A server that has the command line of one."""
    monkeypatch.setenv(COLD, "1")
    folder = tmp_path / "host"
    folder.mkdir()
    made = Host(folder, RULES).start()
    yield made
    made.end()


def test_all_is_well(patient: Patient) -> None:
    """Promise: "`rexec-server doctor` (keys, modes, clock, kernel features, port, policy)"."""
    found = patient.examine(code=0)
    assert list(found) == [
        *("home", "host key", "authorized keys", "allow list", "clock", "kernel", "listen", "audit"),
        "descriptors",
    ]
    assert "SHA256:" in found["host key"]


def test_a_place_for_detached_commands_is_looked_at_where_there_is_one(patient: Patient) -> None:
    place = patient.home / "jobs"
    place.mkdir(mode=0o700)
    assert patient.examine(code=0)["jobs"].endswith("home/jobs, 0 detached commands\n")
    place.chmod(0o777)
    found = patient.examine(code=1)["jobs"]
    assert found.startswith("warning: ")
    assert found.endswith("others may write it: no command can be detached\n")


def spoil_mode(patient: Patient) -> None:
    patient.host_key.chmod(0o644)


def spoil_key(patient: Patient) -> None:
    patient.host_key.write_bytes(b"no key")


def spoil_home(patient: Patient) -> None:
    patient.home.chmod(0o777)


def spoil_keys(patient: Patient) -> None:
    patient.keys.write_text("ssh-ed25519 nonsense\n")


def spoil_list(patient: Patient) -> None:
    patient.allow_list.write_text("ls *\n")


def spoil_lists_mode(patient: Patient) -> None:
    patient.allow_list.chmod(0o666)


def spoil_audit(patient: Patient) -> None:
    (patient.home / "audit").write_text("no directory")
    patient.options += ["--audit", "required"]


@pytest.mark.parametrize(
    ("spoil", "about", "words"),
    [
        (spoil_mode, "host key", "chmod 600"),
        (spoil_key, "host key", "host_ed25519"),
        (spoil_home, "home", "chmod go-w"),
        (spoil_keys, "authorized keys", "authorized_keys:1"),
        (spoil_list, "allow list", "cmds.txt:1:"),
        (spoil_lists_mode, "allow list", "chmod go-w"),
        (spoil_audit, "audit", "cannot be written"),
    ],
)
def test_what_would_stop_a_server_is_an_error(
    patient: Patient, spoil: Callable[[Patient], None], about: str, words: str
) -> None:
    spoil(patient)
    found = patient.examine(code=2)
    assert found[about].startswith("error: ")
    assert words in found[about]
    assert [name for name, text in found.items() if "error: " in text] == [about]


def test_what_the_first_start_makes_is_a_warning(patient: Patient) -> None:
    patient.host_key.unlink()
    patient.keys.unlink()
    found = patient.examine(code=1)
    assert "first start makes it" in found["host key"]
    assert "first start makes it" in found["authorized keys"]


def test_nobody_who_may_come_in_is_a_warning(patient: Patient) -> None:
    patient.keys.write_text("# nobody\n")
    assert "nobody gets in" in patient.examine(code=1)["authorized keys"]


def test_who_looks_into_the_home_is_a_warning(patient: Patient) -> None:
    patient.home.chmod(0o755)
    assert "chmod 700" in patient.examine(code=1)["home"]


@pytest.mark.parametrize(("now", "code"), [(0.0, 2), (1.75e9, 1), (4.2e9, 2)])
def test_a_clock_that_is_wrong(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, now: float, code: int
) -> None:
    os.utime(patient.allow_list, (1.76e9, 1.76e9))
    monkeypatch.setattr(doctor.time, "time", lambda: now)
    found = patient.examine(code=code)
    assert found["clock"].startswith("error" if code == 2 else "warning")


def test_a_port_that_another_has_is_an_error_and_says_who(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        found = patient.examine("--listen", where, code=2)
    assert f"error: {where} is taken by " in found["listen"]
    assert f"pid {os.getpid()}" in found["listen"]


def test_a_socket_that_another_has_is_an_error_and_says_who(patient: Patient) -> None:
    path = patient.folder / "s"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        found = patient.examine("--listen", f"unix:{path}", code=2)
    assert f"pid {os.getpid()}" in found["listen"]
    assert f"error: unix:{path} is taken by " in found["listen"]
    assert "is free" in patient.examine("--listen", f"unix:{path}", code=0)["listen"]  # nobody is behind it


def test_a_server_of_ours_on_the_port_is_well(patient: Patient, host: Host) -> None:
    found = patient.examine("--listen", host.address, code=0)
    assert f"ok: {host.address} is taken by rexec-server, pid {host.pid}" in found["listen"]


@pytest.mark.parametrize("uid", [os.geteuid() + 1, None])
def test_a_server_of_another_user_on_the_port_is_an_error(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, uid: int | None
) -> None:
    """It is not the one that these options are for: that one could not listen."""
    found = Occupant(4711, "rexec-server", is_server=True, uid=uid)
    monkeypatch.setattr(doctor, "occupant_of_port", lambda port: found)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        said = patient.examine("--listen", where, code=2)["listen"]
    assert f"error: {where} is taken by rexec-server, pid 4711, of " in said


def test_one_of_a_kind_is_one(patient: Patient) -> None:
    found = patient.examine(code=0)
    assert found["allow list"].endswith(", 1 rule, 0 warnings\n")
    assert found["authorized keys"].endswith(", 1 key\n")


@pytest.mark.parametrize(
    "options", [("--listen", "0.0.0.0:0", "--no-tls"), ("--drain", "soon"), ("--tls-cert", "x")]
)
def test_options_that_cannot_be_are_an_error(patient: Patient, options: tuple[str, ...]) -> None:
    assert list(patient.examine(*options, code=2)) == ["options"]


def test_options_may_stand_before_the_word_too(patient: Patient, capfd: pytest.CaptureFixture[str]) -> None:
    assert main((*patient.options, "doctor")) == 0
    assert f"ok: home: {patient.home}" in capfd.readouterr().out


def test_root_without_a_user_is_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    patient = Patient(tmp_path, capfd)
    found = patient.examine(code=1 if os.geteuid() == 0 else 0)
    assert ("--user NAME" in found["user"]) == (os.geteuid() == 0)
