"""Whoever tries to leave the fence of a rule is refused, and log, audit and user are told."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.process.fence import features
from tests.cli.prompt.conftest import Prompt
from tests.regress.conftest import Host, descriptors_of, wait_until

RULES = """\
sh ...
    noexec
python3 ...
    noexec
bash ...
    exec-only /bin/true
perl ...
    confine ro /usr net none
true
cat ...
    confine
dash ...
    confine ro /usr {root} rw {root}
    background keep
"""


@pytest.fixture(scope="module")
def fenced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server with fenced rules, on a kernel that has what they ask for."""
    assert "seccomp" in features()
    folder = tmp_path_factory.mktemp("fenced")
    (folder / "root").mkdir()
    host = Host(folder, RULES.replace("{root}", str(folder / "root"))).start()
    yield host
    host.end()


def test_an_attempt_is_told_by_a_line_that_names_the_rule(fenced: Host) -> None:
    """issue: "an attempt to leave is an audit event that names the path, and a line on the user's stderr"."""
    done = fenced.run("sh", "-c", "/bin/echo out; echo in")
    assert done.stdout == b"in\n"
    assert b"rexec: cmds.txt:1 is noexec: /bin/echo was not started\n" in done.stderr
    line = [line for line in fenced.lines if line.startswith("rexec-server: escape ")][-1]
    assert line.endswith(" rule=cmds.txt:1 path=/bin/echo option=noexec")


def test_the_line_is_not_output_of_the_command(fenced: Host) -> None:
    """cli.md: "stdout carries the command's bytes and nothing else": and stderr is counted without it."""
    found = fenced.object("sh", "-c", "/bin/echo out 2>/dev/null; exec 2>/dev/null; /bin/echo; exit 3")
    assert (found["state"], found["exit_code"], found["stdout"], found["stderr"]) == ("failed", 3, "", "")


def test_an_attempt_is_a_record_of_the_audit(fenced: Host) -> None:
    """issue: "audit event that names the path"; it is tied to its decision."""
    (log,) = fenced.home.glob("audit/*.jsonl")
    before = len(log.read_text().splitlines())
    fenced.run("sh", "-c", "/bin/echo out; echo")
    records = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    (escape,) = [record for record in records if record.get("event") == "escape"]
    (allow,) = [record for record in records if record.get("event") == "allow"]
    assert (escape["rule"], escape["path"], escape["option"]) == ("cmds.txt:1", "/bin/echo", "noexec")
    assert escape["of"] == allow["seq"]


def test_one_that_tries_in_a_loop_is_counted(fenced: Host) -> None:
    """security.md, Processes: no flood of a log: ten lines, and how many more there were."""
    script = "import os\nfor _ in range(500):\n  try: os.execv('/bin/true', ['true'])\n  except OSError: pass"
    before = fenced.count("rexec-server: escape ")
    done = fenced.run("python3", "-c", script)
    assert done.returncode == 0
    assert done.stderr.count(b"rexec: cmds.txt:3 is noexec: /bin/true was not started\n") == 10
    assert done.stderr.endswith(b"rexec: cmds.txt:3 refused 490 more attempts\n")
    assert fenced.count("rexec-server: escape ") == before + 11
    assert fenced.count("rexec-server: escape .* more=490$") == 1


def test_a_name_that_steers_terminals_is_harmless(fenced: Host, tmp_path: Path) -> None:
    """security.md, People's terminals: "what rexec itself prints is neutralised"."""
    program = tmp_path / "\x1b[2J\n"
    program.write_bytes(b"#!/bin/true\n")
    program.chmod(0o755)
    script = f"import os\ntry: os.execv({str(program)!r}, ['x'])\nexcept OSError: pass"
    done = fenced.run("python3", "-c", script)
    assert done.returncode == 0
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.decode().strip().isprintable()


def test_at_a_terminal_the_line_ends_with_a_return(fenced: Host) -> None:
    """cli.md: "the terminal is raw for the time of the command": a line of ours is one there, too."""
    words = fenced.words("sh", "-c", "/bin/echo; echo in", options=("-t",))
    pid, master = pty.fork()
    if not pid:
        os.execve(words[0], words, fenced.environment(TERM="xterm"))
    seen = b""
    try:
        while True:
            seen += os.read(master, 4096)
    except OSError:
        pass
    assert os.waitpid(pid, 0)[1] == 0
    os.close(master)
    assert b"rexec: cmds.txt:1 is noexec: /bin/echo was not started\r\n" in seen


def test_the_rest_of_the_server_goes_on_meanwhile(fenced: Host) -> None:
    """security.md, Processes: one that asks for ever takes nobody's turn."""
    script = "import os\nwhile 1:\n  try: os.execv('/bin/true', ['true'])\n  except OSError: pass"
    before = fenced.count("rexec-server: escape ")
    with fenced.popen("python3", "-c", script) as client:
        fenced.wait_for("rexec-server: escape ", count=before + 10)
        assert [fenced.run("true").returncode for _ in range(5)] == [0] * 5
        client.terminate()
    fenced.wait_for("rexec-server: end .*status=(lost|TERM)")


def test_what_is_listed_is_started_and_nothing_else(fenced: Host) -> None:
    """allow-list.md: `exec-only PATH...`."""
    done = fenced.run("bash", "-c", "/bin/true && echo yes; /bin/echo no")
    assert done.stdout == b"yes\n"
    assert b"rexec: cmds.txt:5 is exec-only: /bin/echo was not started\n" in done.stderr


def test_a_socket_is_told_as_well(fenced: Host) -> None:
    """allow-list.md: `confine ... [net none]`."""
    done = fenced.run("perl", "-e", "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or print 'none'")
    assert (done.returncode, done.stdout) == (0, b"none")
    assert b"rexec: cmds.txt:7 has net none: a socket (AF_INET) was not opened\n" in done.stderr


def test_a_file_outside_of_the_roots_is_told(fenced: Host) -> None:
    """issue: "an attempt to leave is an audit event that names the path, and a line on the user's stderr"."""
    (log,) = fenced.home.glob("audit/*.jsonl")
    before = len(log.read_text().splitlines())
    secret = fenced.allow_list
    done = fenced.run("cat", str(secret), str(secret), "/dev/null", "/no/such/file")
    assert (done.returncode, done.stdout) == (1, b"")
    ours = [line for line in done.stderr.decode().splitlines() if line.startswith("rexec: ")]
    assert ours == [f"rexec: cmds.txt:10 has confine: {secret} was not read"]
    line = [line for line in fenced.lines if line.startswith("rexec-server: escape ")][-1]
    assert line.endswith(f" rule=cmds.txt:10 path={secret} option=confine act=read")
    records = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    (escape,) = [record for record in records if record.get("event") == "escape"]
    (allow,) = [record for record in records if record.get("event") == "allow"]
    assert (escape["rule"], escape["option"], escape["act"]) == ("cmds.txt:10", "confine", "read")
    assert (escape["path"], escape["of"]) == (str(secret), allow["seq"])


def test_who_keeps_to_its_files_is_not_spoken_of(fenced: Host) -> None:
    before = fenced.count("rexec-server: escape ")
    done = fenced.run("cat", "/dev/null", "/no/such/file")
    assert done.stderr == b"cat: /no/such/file: No such file or directory\n"
    assert fenced.count("rexec-server: escape ") == before


def test_a_flood_of_names_is_counted(fenced: Host) -> None:
    """security.md, Processes: no flood of a log."""
    script = f'for $n (1..200) {{ mkdir "{fenced.folder}/$n" for 1..3; open F, "<", "{fenced.folder}/$n" }}'
    done = fenced.run("perl", "-e", script)
    told = done.stderr.decode().splitlines()
    assert told[0] == f"rexec: cmds.txt:7 has confine: {fenced.folder}/1 was not made"
    assert told[9] == f"rexec: cmds.txt:7 has confine: {fenced.folder}/10 was not made"
    assert told[10:] == ["rexec: cmds.txt:7 refused 570 more attempts"]


def test_a_link_that_leads_out_is_told_by_where_it_leads(fenced: Host) -> None:
    link = fenced.folder / "root" / "list"
    link.symlink_to("../cmds.txt")
    done = fenced.run("dash", "-c", f"cd {link.parent}; read x < list; exit 3")
    assert done.returncode != 0
    assert f"rexec: cmds.txt:12 has confine: {fenced.allow_list} was not read\n" in done.stderr.decode()


def test_what_may_stay_keeps_its_files(fenced: Host) -> None:
    """allow-list.md: `background keep`: who goes on when its command has ended opens what its rule gives."""
    root = fenced.folder / "root"
    os.mkfifo(root / "go")
    (root / "given").write_text("here\n")
    script = f"cd {root}; (read x < go; read y < given; echo $y > done; mv done over) >/dev/null 2>&1 &"
    assert fenced.run("dash", "-c", script).returncode == 0
    with (root / "go").open("w") as file:
        file.write("now\n")
    wait_until((root / "over").exists, "it has opened its files")
    assert (root / "over").read_text() == "here\n"


def test_nobody_is_left_beside_a_command_that_is_over(fenced: Host) -> None:
    """security.md, Processes: "zombies ... back to the start values": reporters too."""
    runner = fenced.runner_pid()
    children = Path(f"/proc/{runner}/task/{runner}/children")
    before = descriptors_of(runner)
    for _ in range(3):
        fenced.run("cat", "/dev/null")
    wait_until(lambda: not children.read_text(), "all are gone")
    assert descriptors_of(runner) <= before


def test_a_script_is_told_with_its_line(fenced: Host) -> None:
    """cli.md, The prompt: "Without a terminal on stdin it reads one command a line"."""
    done = fenced.run(input=b"true\nsh -c '/bin/echo; exit 0'\n")
    assert done.returncode == 0
    where = f"rexec: {fenced.address}: stdin:2: "
    assert f"{where}cmds.txt:1 is noexec: /bin/echo was not started\n" in done.stderr.decode()


def test_the_prompt_tells_it_too(fenced: Host) -> None:
    """cli.md, The prompt: a line of rexec's own, at the margin."""
    prompt = Prompt(fenced.words(), fenced.environment(TERM="xterm", INPUTRC="/dev/null"))
    try:
        prompt.ready()
        seen = prompt.run("sh -c '/bin/echo; exit 0'")
        assert "rexec: cmds.txt:1 is noexec: /bin/echo was not started\n" in seen
    finally:
        prompt.end()
