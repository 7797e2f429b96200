"""A detached command runs on without its client, and whoever has its key comes back to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.client.jobs import detached
from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from rexec.server.detached.folder import Folder, Jobs, wardens
from tests.regress.conftest import BIN, CLIENT, Host, descriptors_of, has_ended, wait_until
from tests.regress.test_handover import hand_over

RULES = """\
sh ...
    detach
head ...
    detach
true
sleep 100
    detach
    parallel 1
sh -x ...
    detach
sleep 200
    detach
    timeout 200ms
yes
    detach
    output 10K kill
cat
    detach
    pty only
nothere
    detach
seq ...
    detach
    output 10 truncate
env /bin/ls
    detach
    noexec
    record out
printf {secret=text}
    detach
    redact secret
wc ...
    detach
    confine ro /usr
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for the tests that leave it as it was."""
    made = Host(tmp_path_factory.mktemp("detached"), RULES).start()
    yield made
    made.end()


def detach(host: Host, *words: str, **more: object) -> str:
    """Start a command that runs on; return its id."""
    done = host.run(*words, options=("--detach",), **more)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rb"[0-9a-z]{10}\n", done.stdout)
    assert done.stderr == b""
    return done.stdout.decode().strip()


def about(host: Host, way: str, *name: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    return host.run(options=(f"--{way}", *name), **more)  # type: ignore[arg-type]


def jobs(host: Host, **more: object) -> dict[str, dict[str, object]]:
    done = host.run(options=("--jobs", "--json"), **more)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    return {row["id"]: row for row in json.loads(done.stdout)}


def fifo(place: Path) -> str:
    os.mkfifo(place)
    return str(place)


# --- what is asked of it -------------------------------------------------------------------------


def test_its_output_and_its_exit_code_are_those_of_the_command(host: Host) -> None:
    """Issue: "`rexec --attach ID host`", and its exit code is the job's own."""
    name = detach(host, "sh", "-c", r"printf 'a\n\377\0b'; echo err >&2; exit 7")
    done = about(host, "attach", name)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"a\n\xff\0b", b"err\n")
    done = about(host, "logs", name)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\n\xff\0b", b"err\n")
    row = jobs(host)[name]
    assert (row["state"], row["exit_status"], row["rule"]) == ("failed", 7, "cmds.txt:1")
    table = about(host, "jobs").stdout.decode()
    assert table.startswith("ID ")
    assert re.search(rf"^{name}  failed 7 .* sh -c 'printf ", table, re.M)


def test_who_attaches_sees_what_was_and_what_comes(host: Host, tmp_path: Path) -> None:
    gate = fifo(tmp_path / "gate")
    name = detach(host, "sh", "-c", f"echo before; cat {gate}; echo after; kill -USR1 $$")
    with host.popen(options=("--attach", name[:6])) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"before\n"
        assert jobs(host)[name]["state"] == "running"
        (tmp_path / "gate").write_bytes(b"through\n")
        assert client.stdout.read() == b"through\nafter\n"
        assert client.wait() == 128 + signal.SIGUSR1
    assert jobs(host)[name]["signal"] == "USR1"


def test_logs_end_where_the_command_is_unless_they_follow_it(host: Host, tmp_path: Path) -> None:
    gate = fifo(tmp_path / "gate")
    name = detach(host, "sh", "-c", f"echo before; cat {gate}; exit 3")
    with host.popen(options=("--logs", name, "-f")) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"before\n"
        assert about(host, "logs", name).stdout == b"before\n"
        (tmp_path / "gate").write_bytes(b"through\n")
        assert client.stdout.read() == b"through\n"
        assert client.wait() == 0


def test_ctrl_c_reaches_the_command_and_a_hangup_does_not(host: Host) -> None:
    name = detach(host, "sh", "-c", "trap 'echo int; exit 9' INT; echo ready; while :; do sleep 0.01; done")
    for number in (signal.SIGHUP, signal.SIGTERM):
        with host.popen(options=("--attach", name)) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
            client.send_signal(number)
            assert client.wait() == 128 + number
    with host.popen(options=("--attach", name)) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGINT)
        assert client.stdout.read() == b"int\n"
        assert client.wait() == 9


def test_its_input_is_empty(host: Host) -> None:
    name = detach(host, "sh", "-c", "wc -c", input=b"something")
    assert about(host, "attach", name).stdout == b"0\n"


def test_an_end_takes_all_of_it(host: Host, tmp_path: Path) -> None:
    """security.md, Processes: "Fork bomb, double fork and setsid to escape the group"."""
    pids = tmp_path / "pids"
    name = detach(host, "sh", "-c", f"(setsid sh -c 'echo $$; exec sleep 100' & echo $$; wait) >>{pids}; :")
    wait_until(lambda: pids.exists() and pids.read_text().count("\n") == 2, "both are there")
    found = [int(pid) for pid in pids.read_text().split()]
    done = about(host, "kill", name)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert all(has_ended(pid) for pid in found)
    assert jobs(host)[name]["signal"] == "TERM"
    assert about(host, "attach", name).returncode == 143
    assert about(host, "kill", name).returncode == 0  # once more


def test_a_program_that_cannot_be_started_is_127(host: Host) -> None:
    known = jobs(host).keys()
    done = host.run("nothere", options=("--detach",))
    assert done.returncode == 127
    assert b"nothere is not in" in done.stderr
    assert jobs(host).keys() == known


# --- what holds it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "options", "why"),
    [
        (("true",), (), "cmds.txt:5 lets no command be detached (its option detach would)"),
        (("cat",), (), "cmds.txt:17 runs with a terminal only (-t)"),
        (("id",), (), "no rule of cmds.txt allows"),
    ],
)
def test_what_no_rule_detaches_is_denied(
    host: Host, words: tuple[str, ...], options: tuple[str, ...], why: str
) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job instead,
    to get around policy, limits or recording"."""
    done = host.run(*words, options=("--detach", *options))
    assert done.returncode == 126
    assert why in done.stderr.decode()
    assert done.stdout == b""


def test_two_at_once_are_counted_both(host: Host) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job instead,
    to get around policy, limits or recording": the second is judged before the first one runs."""
    session = host.session()
    asked = detached(f.Exec(0, f.Form.ARGV, (b"sleep", b"100")))
    both = [session.start(asked, None, MemorySink(), MemorySink()) for _ in range(2)]
    session.run(lambda: all(command.is_over for command in both))
    first, second = (command.result() for command in both)
    session.close()
    assert (first.state, second.state) == ("ok", "denied")
    assert "runs at most 1 at once" in str(second.error)
    assert about(host, "kill", first.text.strip()).returncode == 0


def test_the_time_and_the_output_of_its_rule_bound_it(host: Host) -> None:
    timed = detach(host, "sleep", "200")
    flooding = detach(host, "yes")
    assert about(host, "attach", timed).returncode == 124
    done = about(host, "attach", flooding)
    assert done.returncode == 255
    assert done.stdout == b"y\n" * 5120
    assert b"more output than the rule allows" in done.stderr
    states = jobs(host)
    assert (states[timed]["state"], states[flooding]["state"]) == ("timeout", "ended")


def test_what_is_cut_off_is_said(host: Host) -> None:
    name = detach(host, "seq", "100")
    done = about(host, "attach", name)
    assert (done.returncode, done.stdout) == (0, b"1\n2\n3\n4\n5\n")
    assert done.stderr == b"rexec: output is cut off after 10 bytes (cmds.txt:22)\n"
    assert about(host, "logs", name).stderr == done.stderr


def test_its_fence_holds_and_its_recording_is_whole(host: Host) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job instead,
    to get around policy, limits or recording"."""
    name = detach(host, "env", "/bin/ls")
    done = about(host, "attach", name)
    assert (done.returncode, done.stdout) == (126, b"")
    assert b"rexec: cmds.txt:25 is noexec: /bin/ls was not started\n" in done.stderr
    host.wait_for(f"rexec-server: end .*job={name}")
    records = [json.loads(line) for line in (host.home / "audit" / "audit.jsonl").read_text().splitlines()]
    mine = {found["event"]: found for found in records if found.get("job") == name}
    assert mine["escape"]["path"] == "/bin/ls"
    assert mine["escape"]["of"] == mine["end"]["of"] == mine["allow"]["seq"]
    assert mine["end"]["recording"] == mine["allow"]["recording"]
    assert mine["end"]["recording_whole"]
    words = [str(BIN / "rexec-audit"), "verify", str(host.home / "audit")]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_a_confined_command_is_seen_by_its_reporter(host: Host, tmp_path: Path) -> None:
    """And neither that one nor the warden stays when it is over."""
    (tmp_path / "other").write_text("x")
    name = detach(host, "wc", str(tmp_path / "other"))
    done = about(host, "attach", name)
    assert done.returncode == 1
    assert b"rexec: cmds.txt:32 has confine: " in done.stderr
    host.wait_for(f"rexec-server: escape job={name} .*option=confine")
    wait_until(lambda: not held(host, name), "its warden is gone")


def held(host: Host, name: str) -> int:
    with Jobs(str(host.home / "jobs")) as all_jobs, Folder(name, above=all_jobs) as folder:
        return folder.holder()


def test_of_much_output_the_latest_is_kept(host: Host) -> None:
    size = 10 << 20
    name = detach(host, "sh", "-c", f"head -c {size} /dev/zero; echo end")
    found = host.object(options=("--attach", name))
    assert (found["state"], found["truncated"]) == ("ok", True)
    text = str(found["stdout"])
    assert text.endswith("\0end\n")
    assert 7 << 20 < len(text) <= 8 << 20
    done = about(host, "logs", name)
    assert re.search(rb"rexec: the oldest [0-9,]+ bytes of output are not kept\n", done.stderr)


def test_no_log_shows_what_its_rule_hides(host: Host) -> None:
    name = detach(host, "printf", "s3cret")
    assert about(host, "attach", name).stdout == b"s3cret"
    assert jobs(host)[name]["command"] == ["printf", "***"]
    folder = host.home / "jobs" / name
    assert b"s3cret" not in (folder / "job").read_bytes()
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.glob("[a-r]*"))} == {0}


# --- whose it is -----------------------------------------------------------------------------------


def test_the_same_key_finds_it_from_anywhere_and_no_other_does(host: Host, tmp_path: Path) -> None:
    """Issue: "`attach` from another machine with the same key"."""
    name = detach(host, "sh", "-c", "echo mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    shutil.copy(host.home / "id_ed25519", elsewhere)
    env = host.environment(REXEC_HOME=str(elsewhere))
    words = [CLIENT, "--accept-new", "--attach", name, host.address]
    done = subprocess.run(words, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"mine\n")
    other = host.guest("other")
    host.run("true", env=other, options=("--accept-new",))
    assert jobs(host, env=other) == {}
    for way in ("attach", "logs", "kill"):
        theirs, nobodys = about(host, way, name, env=other), about(host, way, "0" * 10, env=other)
        assert (theirs.returncode, nobodys.returncode) == (126, 126)
        assert theirs.stderr.replace(name.encode(), b"0" * 10) == nobodys.stderr


# --- the server comes and goes -----------------------------------------------------------------------


def test_it_outlives_its_server_and_is_counted_by_the_next(make_host: Callable[..., Host]) -> None:
    """Issue: "an upgrade (`SIGTERM`, new binary, systemd restart) ends no detached command"."""
    host = make_host(RULES).start()
    gate = fifo(host.folder / "gate")
    name = detach(host, "sh", "-c", f"echo before; cat {gate}; echo after; exit 3")
    sleeping = detach(host, "sleep", "100")
    assert host.run("sleep", "100", options=("--detach",)).returncode == 126
    assert host.stop() == 0
    host.start()
    done = host.run("sleep", "100", options=("--detach",))
    assert done.returncode == 126
    assert b"cmds.txt:6 runs at most 1 at once" in done.stderr
    assert about(host, "kill", sleeping).returncode == 0
    assert about(host, "logs", name).stdout == b"before\n"
    assert host.stop() == 0
    (host.folder / "gate").write_bytes(b"")  # it ends while no server is there
    wait_until((host.home / "jobs" / name / "end").exists, "its end is written")
    host.start()
    host.wait_for(f"rexec-server: end .*status=3 bytes=13 job={name}")
    done = about(host, "attach", name)
    assert (done.returncode, done.stdout) == (3, b"before\nafter\n")
    records = [json.loads(line) for line in (host.home / "audit" / "audit.jsonl").read_text().splitlines()]
    (allowed,) = [found for found in records if found["event"] == "allow" and found.get("job") == name]
    (ended,) = [found for found in records if found["event"] == "end" and found.get("job") == name]
    assert (ended["of"], ended["exit"], ended["stdout"]) == (allowed["seq"], 3, 13)


def test_it_outlives_a_runner_that_is_killed(make_host: Callable[..., Host]) -> None:
    """And what is not detached does not."""
    host = make_host(RULES).start()
    gate = fifo(host.folder / "gate")
    name = detach(host, "sh", "-c", f"cat {gate}; exit 3")
    with host.popen("sh", "-c", "echo $$; exec sleep 100", options=("--no-resume",)) as client:
        assert client.stdout is not None
        other = int(client.stdout.readline())
        os.kill(host.runner_pid(), signal.SIGKILL)
        assert client.wait() == 255
    assert host.process is not None
    host.process.wait()
    wait_until(lambda: has_ended(other), "what is not detached has ended")
    host.addresses.clear()
    host.start()
    assert jobs(host)[name]["state"] == "running"
    (host.folder / "gate").write_bytes(b"")
    assert about(host, "attach", name).returncode == 3


def test_a_successor_finds_it(make_host: Callable[..., Host]) -> None:
    """Issue: "handed over on `SIGUSR2`", and an upgrade "ends no detached command"."""
    host = make_host(RULES).start()
    assert host.process is not None
    gate = fifo(host.folder / "gate")
    name = detach(host, "sh", "-c", f"cat {gate}; exit 3")
    successor = hand_over(host, host.pid)
    assert host.process.wait() == 0
    (host.folder / "gate").write_bytes(b"")
    assert about(host, "attach", name).returncode == 3
    os.kill(successor, signal.SIGTERM)
    wait_until(lambda: has_ended(successor), "the successor is gone")


def test_a_warden_holds_nothing_of_the_server_and_its_command_ends_with_it(
    make_host: Callable[..., Host],
) -> None:
    """security.md, Environment and inheritance: "The server's own descriptors, environment, umask, signal
    mask and ignored signals must not reach a child". What nobody looks after does not run."""
    host = make_host(RULES).start()
    pids = host.folder / "pids"
    name = detach(host, "sh", "-c", f"(setsid sh -c 'echo $$; exec sleep 100' & echo $$; wait) >{pids}; :")
    wait_until(lambda: pids.exists() and pids.read_text().count("\n") == 2, "both are there")
    (warden,) = wardens(str(host.home))
    held = [os.readlink(path) for path in Path(f"/proc/{warden}/fd").iterdir()]
    own = ("/dev/null", f"{host.home}/jobs/{name}", "pipe:", "socket:", "anon_inode:", f"/proc/{warden}/")
    assert [place for place in held if not place.startswith(own)] == []
    assert os.readlink(f"/proc/{warden}/cwd") == "/"
    assert held.count("/dev/null") == 3
    assert sum(place.startswith("socket:") for place in held) == 1  # where it is talked to
    os.kill(warden, signal.SIGKILL)
    assert about(host, "attach", name).returncode == 255
    wait_until(lambda: all(has_ended(int(pid)) for pid in pids.read_text().split()), "all of it has ended")
    host.wait_for(f"rexec-server: end .*status=lost .*job={name}")
    assert jobs(host)[name]["state"] == "lost"


def test_a_warden_that_is_told_to_end_ends_its_command_in_order(make_host: Callable[..., Host]) -> None:
    """As a machine does that goes down: also when no server is there any more."""
    host = make_host(RULES).start()
    name = detach(host, "sh", "-c", "trap 'echo last; exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    with host.popen(options=("--attach", name)) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGHUP)
    (warden,) = wardens(str(host.home))
    host.stop()
    os.kill(warden, signal.SIGTERM)
    wait_until(lambda: has_ended(warden), "the warden has ended")
    host.start()
    done = about(host, "attach", name)
    assert (done.returncode, done.stdout) == (5, b"ready\nlast\n")


def test_it_needs_a_place_for_its_output(make_host: Callable[..., Host]) -> None:
    """security.md, Protocol: "a planted link"; and nothing runs that nobody could come back to."""
    host = make_host(RULES).start()
    canary = host.folder / "canary"
    place = host.home / "jobs"
    (host.folder / "elsewhere").mkdir()
    place.symlink_to(host.folder / "elsewhere")
    done = host.run("sh", "-c", f"touch {canary}", options=("--detach",))
    assert done.returncode == 126
    assert b"home/jobs is none: not a directory" in done.stderr
    place.unlink()
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    done = host.run("sh", "-c", f"touch {canary}", options=("--detach",))
    assert done.returncode == 126
    assert b"home/jobs is none: others may write it" in done.stderr
    assert not canary.exists()
    assert list((host.folder / "elsewhere").iterdir()) == []
    place.chmod(0o700)
    name = detach(host, "sh", "-c", "echo x")
    assert about(host, "attach", name).stdout == b"x\n"
    (place / ("0" * 10)).symlink_to(place / name)  # a link for a directory, and one for a file
    (place / name / "log-0").rename(host.folder / "log")
    (place / name / "log-0").symlink_to(host.folder / "log")
    assert jobs(host).keys() == {name}
    assert about(host, "attach", name).returncode == 255


def test_results_go_when_their_time_is_over(make_host: Callable[..., Host]) -> None:
    host = make_host(RULES).start("--keep-jobs", "1ms")
    host.run("true")
    at_rest = descriptors_of(host.runner_pid())
    name = detach(host, "sh", "-c", "exit 0")
    host.wait_for(f"rexec-server: end .* job={name}")
    wait_until(lambda: not (host.home / "jobs" / name).exists(), "it is gone")
    assert jobs(host) == {}
    assert b"no detached command of yours" in about(host, "attach", name).stderr
    wait_until(lambda: descriptors_of(host.runner_pid()) == at_rest, "nothing is held any more")


@pytest.mark.system
def test_a_full_disk_ends_no_command_and_starts_none(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "Disk full"; here for what a command writes."""
    host = make_host(RULES)
    place = host.home / "jobs"
    place.mkdir(mode=0o700, parents=True)
    host.home.chmod(0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", str(place)], check=True)
    try:
        host.start()
        name = detach(host, "sh", "-c", "head -c 1000000 /dev/zero; exit 4")
        done = about(host, "attach", name)
        assert done.returncode == 4
        assert 100_000 < len(done.stdout) < 256 << 10
        assert re.search(
            rb"rexec: the latest [0-9,]+ bytes of output could not be kept: no space", done.stderr
        )
        with pytest.raises(OSError, match="No space"):
            (place / "fill").write_bytes(bytes(1 << 20))
        canary = host.folder / "canary"
        done = host.run("sh", "-c", f"touch {canary}", options=("--detach",))
        assert done.returncode == 126
        assert b"home/jobs is none: no space left on device" in done.stderr
        assert not canary.exists()
        assert jobs(host).keys() == {name}
        host.stop()
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.system
def test_another_account_runs_it_and_its_warden_ends_it(make_host: Callable[..., Host]) -> None:
    host = make_host(
        "id ...\n    as nobody\n    cwd /\n    detach\nsleep 100\n    as nobody\n    cwd /\n    detach\n"
    )
    host.start()
    assert about(host, "attach", detach(host, "id", "-u")).stdout == b"65534\n"
    name = detach(host, "sleep", "100")
    assert about(host, "kill", name).returncode == 0
    assert about(host, "attach", name).returncode == 143
