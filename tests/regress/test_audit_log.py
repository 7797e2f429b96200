"""Every decision and every end stands in the audit log, and whatever is done to it shows."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rexec import connect
from tests.regress.conftest import BIN, Host, wait_until

AUDIT = str(BIN / "rexec-audit")
Record = dict[str, object]


def log_of(host: Host, name: str = "audit") -> Path:
    return host.home / name / "audit.jsonl"


def records(host: Host, name: str = "audit") -> list[Record]:
    return [json.loads(line) for line in log_of(host, name).read_bytes().splitlines()]


def last(host: Host, event: str) -> Record:
    return [record for record in records(host) if record["event"] == event][-1]


def audit(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AUDIT, *words], env=host.environment(), capture_output=True, text=True, check=False, timeout=60
    )


# --- what is written ------------------------------------------------------------------------------


def test_a_command_is_a_decision_and_an_end(host: Host) -> None:
    assert host.run("sh", "-c", "cat; echo e >&2; exit 3", input=b"12345").returncode == 3
    host.wait_for("rexec-server: end ")
    allow, end = last(host, "allow"), last(host, "end")
    assert allow["argv"] == ["sh", "-c", "cat; echo e >&2; exit 3"]
    assert str(allow["key"]).startswith("SHA256:")
    assert (allow["from"], allow["rule"]) == ("127.0.0.1", "cmds.txt:9")
    assert str(allow["connection"]).endswith(f" 127.0.0.1 {host.port}")
    assert len(str(allow["generation"])) == 64
    assert end["of"] == allow["seq"]
    assert (end["cause"], end["exit"], end["signal"]) == ("exited", 3, "")
    assert (end["stdin"], end["stdout"], end["stderr"]) == (5, 5, 2)
    assert (end["user"], end["rule"]) == (allow["user"], allow["rule"])


def test_a_death_by_signal_has_no_exit_status(host: Host) -> None:
    assert host.run("sh", "-c", "kill -9 $$").returncode == 137
    host.wait_for("rexec-server: end ")
    end = last(host, "end")
    assert (end["cause"], end["exit"], end["signal"]) == ("signalled", None, "KILL")


def test_a_denial_is_a_record_with_its_reason(host: Host) -> None:
    """security.md: "Denied" means: exit 126, the reason on stderr, one audit record, nothing started."""
    before = len(records(host))
    done = host.run("touch", "/tmp/x\n\x1b[2J")
    assert done.returncode == 126
    new = records(host)[before:]
    assert [record["event"] for record in new] == ["deny"]
    assert new[0]["argv"] == ["touch", "/tmp/x\n\x1b[2J"]
    assert "no rule of cmds.txt allows" in str(new[0]["why"])


def test_a_decision_is_on_the_disk_before_the_program_runs(host: Host) -> None:
    """architecture.md: "the decision is on disk before anything runs"."""
    done = host.run("cat", str(log_of(host)))
    assert json.loads(done.stdout.splitlines()[-1])["argv"] == ["cat", str(log_of(host))]


def test_a_program_that_cannot_be_started_is_an_end(make_host: Callable[..., Host]) -> None:
    host = make_host("./gone\n".replace("./", "/")).start()
    assert host.run("/gone").returncode == 127
    assert last(host, "deny")["argv"] == ["/gone"]


def test_a_very_long_argument_vector_stands_there_cut_with_its_hash(host: Host) -> None:
    assert host.run("true", *["x" * 1000] * 300).returncode in (0, 126)
    host.run("cat", "/dev/null", *["y" * 1000] * 300)
    allow = [record for record in records(host) if "argc" in record][-1]
    words = allow["argv"]
    assert isinstance(words, list)
    assert len(words) < 20
    assert allow["argc"] in (301, 302)
    assert len(str(allow["argv_sha256"])) == 64
    assert all(len(line) < 256 * 1024 for line in log_of(host).read_bytes().splitlines())


def test_a_reload_is_a_record(host: Host) -> None:
    before = records(host)[0]["generation"]
    host.allow_list.write_text("true\n")
    os.kill(host.pid, signal.SIGHUP)
    host.wait_for("reload result=done")
    done = last(host, "reload")
    assert (done["result"], done["rules"]) == ("done", 1)
    assert done["generation"] != before
    host.allow_list.write_text("true {\n")
    os.kill(host.pid, signal.SIGHUP)
    host.wait_for("reload result=kept")
    kept = last(host, "reload")
    assert (kept["result"], kept["generation"]) == ("kept", done["generation"])
    assert kept["why"]


def test_a_log_of_a_stopped_server_is_whole_and_signed(make_host: Callable[..., Host]) -> None:
    host = make_host().start()
    for _ in range(3):
        host.run("true")
    assert host.stop() == 0
    host.start()
    host.run("true")
    assert host.stop() == 0
    wait_until(lambda: records(host)[-1]["event"] == "checkpoint", "the log is signed at the stop")
    done = audit(host, "verify")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[0] == (
        f"whole: {len(records(host))} records, 4 checkpoints by {host.fingerprint}"
    )


def test_a_log_goes_on_in_another_file_when_one_is_full(make_host: Callable[..., Host]) -> None:
    host = make_host("true ...\n").start("--audit-size", "1048576")
    with connect(host.address, home=host.home) as client:
        for _ in range(120):
            assert client.run(["true", *["x" * 1000] * 10]).ok
    host.stop()
    wait_until(lambda: records(host)[-1]["event"] == "checkpoint", "the log is signed at the stop")
    names = sorted(path.name for path in (host.home / "audit").glob("audit*.jsonl"))
    assert names == ["audit-000000000001.jsonl", "audit.jsonl"]
    done = audit(host, "verify")
    assert done.returncode == 0, done.stdout
    assert len(audit(host, "show").stdout.splitlines()) > 240
    first = host.home / "audit" / names[0]
    first.rename(host.folder / names[0])
    done = audit(host, "verify")
    assert (done.returncode, "audit.jsonl:1: the log begins with record" in done.stdout) == (1, True)
    assert audit(host, "verify", "--partial").returncode == 0
    assert audit(host, "verify", str(host.folder / names[0])).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_says_by_which_signal(make_host: Callable[..., Host], number: signal.Signals) -> None:
    host = make_host("true\n").start()
    host.stop(number)
    wait_until(lambda: records(host)[-1].get("why") == "stop", "the log is signed at the stop")
    assert last(host, "stop")["why"] == number.name


def test_a_server_that_never_served_leaves_no_record(make_host: Callable[..., Host]) -> None:
    host = make_host("true\n").start()
    other = make_host("true\n")
    assert "address already in use" in other.refuses(listen=(f"127.0.0.1:{host.port}",))
    wait_until(lambda: not log_of(other).exists(), "the log is gone")
    assert "no audit log here" in audit(other, "verify").stderr
    assert audit(other, "verify", str(other.home)).returncode == 2


def test_nobody_else_may_read_the_log(host: Host) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (host.home / "audit").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (host.home / "audit").stat().st_mode & 0o777 == 0o700


def test_no_child_has_the_log_open(host: Host) -> None:
    """security.md, Environment and inheritance: the server's own descriptors must not reach a child."""
    done = host.run("sh", "-c", "ls -l /proc/self/fd")
    assert b"audit" not in done.stdout


# --- what is done to it ---------------------------------------------------------------------------


def flip(data: bytes) -> bytes:
    return data.replace(b'"exit":0', b'"exit":1', 1)


def without(number: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        return b"".join(lines[:number] + lines[number + 1 :])

    return change


def swapped(data: bytes) -> bytes:
    first, second, third, fourth, *rest = data.splitlines(keepends=True)
    return b"".join([first, second, fourth, third, *rest])


def doubled(data: bytes) -> bytes:
    first, second, third, *rest = data.splitlines(keepends=True)
    return b"".join([first, second, third, third, *rest])


def cut(data: bytes) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:-2])


DEEDS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "edit": (flip, "audit.jsonl:4: was changed"),
    "delete": (without(3), "audit.jsonl:4: before it record 4 is missing"),
    "reorder": (swapped, "audit.jsonl:3: is record 4 in the place of record 3"),
    "duplicate": (doubled, "audit.jsonl:4: stands twice"),
    "cut the tail": (cut, "audit.jsonl:6: the end was cut behind it"),
    "roll back": (lambda data: b"".join(data.splitlines(keepends=True)[:2]), "the end was cut behind it"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A server that ran two commands and stopped."""
    host = Host(tmp_path_factory.mktemp("ended"), "true\n").start()
    for _ in range(2):
        assert host.run("true").returncode == 0
    host.stop()
    wait_until(lambda: records(host)[-1]["event"] == "checkpoint", "the log is signed at the stop")
    return host


@pytest.mark.parametrize("deed", DEEDS)
def test_verify_names_the_first_bad_line(ended: Host, deed: str) -> None:
    """security.md: "Audit: edit, delete, reorder, cut the tail, duplicate, roll back: `verify` names the
    first bad line"."""
    change, words = DEEDS[deed]
    data = log_of(ended).read_bytes()
    assert audit(ended, "verify").returncode == 0
    try:
        log_of(ended).write_bytes(change(data))
        done = audit(ended, "verify")
    finally:
        log_of(ended).write_bytes(data)
    assert done.returncode == 1
    assert words in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_whole_log_that_was_rolled_back_shows_by_a_receipt(make_host: Callable[..., Host]) -> None:
    """security.md, People's terminals, logs and files: "roll back"; each client is a witness."""
    host = make_host().start()
    host.run("true")
    host.stop()
    wait_until(lambda: records(host)[-1]["event"] == "checkpoint", "the log is signed at the stop")
    old = {path.name: path.read_bytes() for path in (host.home / "audit").iterdir() if path.is_file()}
    host.start()
    paper = str(host.folder / "receipt.json")
    assert host.run("seq", "3", options=("--receipt", paper)).returncode == 0
    host.stop()
    wait_until(lambda: records(host)[-1]["why"] == "stop", "the log is signed at the stop")
    assert audit(host, "verify", "--receipt", paper).returncode == 0
    for name, data in old.items():
        (host.home / "audit" / name).write_bytes(data)
    assert audit(host, "verify").returncode == 0  # by itself it is as it was once
    done = audit(host, "verify", "--receipt", paper)
    assert done.returncode == 1
    assert "receipt.json knows record 10" in done.stdout


def test_a_forged_log_shows_by_the_host_key(ended: Host, make_host: Callable[..., Host]) -> None:
    other = make_host("true\n").start()
    other.run("true")
    other.stop()
    wait_until(lambda: records(other)[-1]["event"] == "checkpoint", "the log is signed at the stop")
    done = audit(
        ended, "verify", "--host-key", str(ended.home / "host_ed25519.pub"), str(other.home / "audit")
    )
    assert (done.returncode, "head.json: signed by" in done.stdout) == (1, True)


def test_a_noted_head_is_a_witness(ended: Host) -> None:
    head = audit(ended, "verify").stdout.splitlines()[-1].removeprefix("head: ")
    assert audit(ended, "verify", "--head", head).returncode == 0
    wrong = f"{head.partition(':')[0]}:{'0' * 64}"
    assert audit(ended, "verify", "--head", wrong).returncode == 1
    assert audit(ended, "verify", "--head", "nonsense").returncode == 2


# --- kills, neighbours, full disks ----------------------------------------------------------------


def test_a_server_that_was_killed_leaves_a_log_that_goes_on(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "never half a record"."""
    host = make_host().start()
    with host.popen("sh", "-c", "while :; do echo x; done", stdout=subprocess.DEVNULL):
        host.wait_for("rexec-server: allow")
        for pid in reversed(host.pids()):  # the runner first: without a listener it ends its log in order
            os.kill(pid, signal.SIGKILL)
        host.stop(signal.SIGKILL)
    wait_until(lambda: not is_locked(host), "nobody has the log")
    host.wait_for("<end of log>")
    host.start()
    host.run("true")
    host.stop()
    wait_until(lambda: records(host)[-1]["event"] == "checkpoint", "the log is signed at the stop")
    done = audit(host, "verify")
    assert done.returncode == 0, done.stdout
    assert "note: audit.jsonl:4: the server before it was killed" in done.stdout


def is_locked(host: Host) -> bool:
    from rexec.audit.segments import is_locked

    return is_locked(str(host.home / "audit"))


def test_a_second_server_on_one_home_has_a_log_of_its_own(make_host: Callable[..., Host]) -> None:
    host = make_host("true\n").start()
    second = Host(host.folder, "true\n")
    second.start()
    try:
        assert second.run("true").returncode == 0
        assert last_argv(second, "audit-2") == ["true"]
        assert host.run("true").returncode == 0
    finally:
        second.stop()
    host.stop()
    wait_until(lambda: records(host, "audit-2")[-1]["event"] == "checkpoint", "both logs are signed")
    wait_until(lambda: records(host)[-1]["event"] == "checkpoint", "both logs are signed")
    done = audit(host, "verify")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("whole: ") == 2
    shown = audit(host, "show", "--json").stdout.splitlines()
    assert [json.loads(line)["time"] for line in shown] == sorted(json.loads(line)["time"] for line in shown)


def last_argv(host: Host, name: str) -> object:
    return [record for record in records(host, name) if record["event"] == "allow"][-1]["argv"]


def test_a_directory_that_is_named_and_in_use_is_an_error(make_host: Callable[..., Host]) -> None:
    host = make_host("true\n")
    place = str(host.folder / "log")
    host.start("--audit-dir", place)
    said = host.refuses("--audit-dir", place)
    assert "log: another server writes its audit log here" in said
    assert "--audit-dir" in said


def test_a_log_that_cannot_be_opened_is_said_and_the_server_serves(make_host: Callable[..., Host]) -> None:
    host = make_host("true\n")
    host.home.mkdir(mode=0o700)
    (host.home / "audit").write_text("in the way")
    host.start()
    assert "audit result=none" in host.wait_for("audit result=none")
    assert host.run("true").returncode == 0
    done = host.run("true", options=("--receipt", str(host.folder / "r")))
    assert (done.returncode, b"gives no receipts" in done.stderr) == (126, True)


def test_a_required_log_that_cannot_be_opened_is_an_error(make_host: Callable[..., Host]) -> None:
    host = make_host("true\n")
    host.home.mkdir(mode=0o700)
    (host.home / "audit").write_text("in the way")
    assert "is not a directory" in host.refuses("--audit", "required")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--audit", "sometimes"), "--audit 'sometimes' is neither best-effort nor required"),
        (("--audit-size", "many"), "--audit-size 'many' is no size"),
        (("--audit-size", "5"), "less than 1048576 bytes"),
        (("--audit-dir", ""), "--audit-dir names no directory"),
    ],
)
def test_an_option_that_means_nothing_is_an_error(
    make_host: Callable[..., Host], options: tuple[str, ...], words: str
) -> None:
    assert words in make_host("true\n").refuses(*options)


NO_PYC = {"PYTHONDONTWRITEBYTECODE": "1"}  # half a compiled module would be left for everybody


def small_files() -> None:
    """What a full disk is to a process: no file of it may grow beyond this (setrlimit(2))."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))


RULES = "true\nsh ...\n"


def test_on_a_full_disk_nothing_runs_unrecorded_where_that_is_required(
    make_host: Callable[..., Host],
) -> None:
    """security.md, Processes: "Disk full for the audit log: `required` refuses to run"."""
    host = make_host(RULES)
    host.start("--audit", "required", preexec_fn=small_files, env=NO_PYC)
    canary = host.folder / "canary"
    for _ in range(20):
        done = host.run("sh", "-c", f"echo >> {canary}")
        if done.returncode:
            break
    assert done.returncode == 126
    assert (
        b"denied: the audit log cannot be written (file too large), and nothing runs without it"
        in done.stderr
    )
    assert canary.stat().st_size == sum(record["event"] == "allow" for record in records(host))
    assert host.count("audit result=lost") >= 1
    assert host.run("true").returncode == 126  # and the server lives


def test_on_a_full_disk_best_effort_says_so_and_goes_on(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "`best-effort` says so; never half a record"."""
    host = make_host(RULES).start(preexec_fn=small_files, env=NO_PYC)
    for _ in range(8):
        assert host.run("true").returncode == 0
    host.wait_for("audit result=lost why=.*file too large")
    assert host.count("audit result=lost") == 1
    assert log_of(host).read_bytes().endswith(b"\n")
    assert log_of(host).stat().st_size <= 3000
    resource.prlimit(host.runner_pid(), resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert host.run("true").returncode == 0
    gap = last(host, "gap")
    lost = gap["lost"]
    assert isinstance(lost, int)
    assert lost > 5
    done = audit(host, "verify")
    assert (done.returncode, f"{lost} records before it could not be written" in done.stdout) == (0, True)


@pytest.mark.system
def test_a_disk_that_is_really_full(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "Disk full for the audit log"."""
    host = make_host(RULES)
    place = host.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", str(place)], check=True)
    try:
        host.start("--audit", "required", "--audit-dir", str(place))
        assert host.run("true").returncode == 0
        filler = place / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                pass
        codes = {host.run("true").returncode for _ in range(30)}
        assert 126 in codes
        assert (place / "audit.jsonl").read_bytes().endswith(b"\n")
        filler.unlink()
        assert host.run("true").returncode == 0
        host.stop()
        wait_until(lambda: b'"stop"' in (place / "audit.jsonl").read_bytes()[-700:], "the log is signed")
        done = audit(host, "verify", str(place))
        assert done.returncode == 0, done.stdout
        assert "records before it could not be written: no space left on device" in done.stdout
    finally:
        host.end()
        subprocess.run(["umount", "-l", str(place)], check=True)


# --- for people -----------------------------------------------------------------------------------


def test_show_prints_a_line_a_record_and_filters(ended: Host) -> None:
    lines = audit(ended, "show").stdout.splitlines()
    assert len(lines) == len(records(ended))
    assert all(line.isprintable() for line in lines)
    assert len(audit(ended, "show", "--rule", "cmds.txt:1").stdout.splitlines()) == 4
    assert audit(ended, "show", "--denied").stdout == ""
    assert audit(ended, "show", "--since", "2999-01-01").stdout == ""
    assert len(audit(ended, "show", "--since", "1h", "--from", "127.0.0.1").stdout.splitlines()) == 2
    assert audit(ended, "show", "--until", "whenever").returncode == 2
    raw = audit(ended, "show", "--json").stdout
    assert raw.encode() == log_of(ended).read_bytes()


def test_show_follows(host: Host) -> None:
    with subprocess.Popen(
        [AUDIT, "show", "-f", "--denied"],
        env=host.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        host.run("nope", "1")
        assert "nope 1" in following.stdout.readline()
        host.run("nope", "2")
        assert "nope 2" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait() == 130
        assert following.stderr is not None
        assert following.stderr.read().count("\n") <= 1


def test_a_missing_log_is_one_line(tmp_path: Path, make_host: Callable[..., Host]) -> None:
    host = make_host("true\n")
    for words in (("verify",), ("show",), ("show", "/gone"), ("verify", "/gone"), ("play", "/gone")):
        done = audit(host, *words)
        assert done.returncode == 2, done
        assert done.stderr.startswith("rexec-audit: ")
        assert "Traceback" not in done.stderr
