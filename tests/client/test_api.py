"""`rexec.connect` against a real server: what it returns, raises, streams, and leaves behind."""

from __future__ import annotations

import gc
import io
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rexec
from rexec.limits import WINDOW_MAX
from tests.regress.conftest import PATIENCE, RULES, Host, wait_until

BULK = 64 * 1024 * 1024


@pytest.fixture
def web(shared_host: Host) -> Iterator[rexec.Host]:
    with rexec.connect(shared_host.address, home=shared_host.home) as connected:
        yield connected


# --- connecting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--no-tls",)], ids=["tls", "in the clear"])
def test_a_host_knows_its_name_and_who_we_are(
    make_host: Callable[..., Host], options: tuple[str, ...]
) -> None:
    server = make_host().start(*options)
    with rexec.connect(server.address, home=server.home, tls=not options) as web:
        assert web.run(["printf", "%s", "here"]).stdout == b"here"
        assert web.name == server.address
        assert repr(web) == f"Host({server.address!r}, user={web.user!r})"


def test_in_the_clear_a_server_that_speaks_tls_is_told_from_one_that_is_slow(
    shared_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rexec.client.connect.CLEAR_SILENCE", 0.01)
    with pytest.raises(rexec.ConnectError, match=r": the server speaks TLS$") as caught:
        rexec.connect(shared_host.address, home=shared_host.home, tls=False)
    assert caught.value.hint == "leave --no-tls away"


def test_in_the_clear_a_server_may_be_slow(
    make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_host().start("--no-tls")
    monkeypatch.setattr("rexec.client.connect.CLEAR_SILENCE", 0.0)
    with rexec.connect(server.address, home=server.home, tls=False) as web:
        assert web.run(["true"]).ok


def test_a_host_is_found_over_a_unix_socket(make_host: Callable[..., Host], tmp_path: Path) -> None:
    server = make_host().start("--no-tls", listen=(f"unix:{tmp_path}/s",))
    with rexec.connect(f"unix:{tmp_path}/s", home=server.home, tls=False) as web:
        assert web.run(["true"]).ok


def test_the_configuration_counts_as_it_does_for_the_command(host: Host) -> None:
    (host.home / "config.toml").write_text(f'[hosts.web]\naddress = "{host.address}"\ntimeout = "200ms"\n')
    with rexec.connect("web", home=str(host.home)) as web:
        assert web.run(["sleep", "60"]).state == "timeout"
        assert web.run(["true"], timeout=60).ok


def test_a_port_and_a_key_may_be_named(shared_host: Host) -> None:
    key = shared_host.home / "id_ed25519"
    for identity in (key, str(key), [key]):
        with rexec.connect(
            "127.0.0.1", port=shared_host.port, identity=identity, home=shared_host.home
        ) as web:
            assert web.run(["true"]).ok


def test_a_host_that_is_not_there_is_a_connect_error(shared_host: Host) -> None:
    with pytest.raises(rexec.ConnectError, match=r"^127\.0\.0\.1: connection refused$"):
        rexec.connect("127.0.0.1", port=1, home=shared_host.home)


def test_a_server_that_is_not_known_is_a_trust_error_unless_it_is_to_be_accepted(
    shared_host: Host, tmp_path: Path
) -> None:
    """security.md, Protocol, TLS, authentication: "Relay with another certificate"."""
    key = shared_host.home / "id_ed25519"
    home = tmp_path / "elsewhere"
    with pytest.raises(rexec.TrustError, match=re.escape(shared_host.fingerprint)):
        rexec.connect(shared_host.address, identity=key, home=home)
    rexec.connect(shared_host.address, identity=key, home=home, accept_new=True).close()
    rexec.connect(shared_host.address, identity=key, home=home).close()


def test_a_key_or_user_that_is_not_known_is_an_auth_error(
    shared_host: Host, make_host: Callable[..., Host]
) -> None:
    """security.md, Protocol, TLS, authentication: "Unknown user, unknown key: same answer"."""
    other = make_host().start()
    with pytest.raises(rexec.AuthError, match="does not accept this key"):
        rexec.connect(shared_host.address, identity=other.home / "id_ed25519", home=shared_host.home)
    with pytest.raises(rexec.AuthError, match="does not accept this key for user 'nobody-here'"):
        rexec.connect(shared_host.address, user="nobody-here", home=shared_host.home)


@pytest.mark.parametrize("name", ["-oProxyCommand=id", "", "a\nb", "user@"])
def test_a_host_name_that_is_none_is_a_usage_error(name: str, tmp_path: Path) -> None:
    """security.md, People's terminals, logs and files: "A host called `-oProxyCommand=...`"."""
    with pytest.raises(rexec.UsageError):
        rexec.connect(name, home=tmp_path)


def test_a_clear_connection_to_elsewhere_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(rexec.UsageError, match="--no-tls is refused"):
        rexec.connect("192.0.2.1", tls=False, home=tmp_path)


# --- results -------------------------------------------------------------------------------------


def test_every_ending_is_a_value(web: rexec.Host) -> None:
    assert web.run(["true"]).state == "ok"
    assert web.run(["sh", "-c", "exit 7"]).exit_code == 7
    died = web.run(["sh", "-c", "kill -USR1 $$"])
    assert (died.state, died.signal, died.exit_code) == ("signal", "USR1", 128 + signal.SIGUSR1)
    denied = web.run(["rm", "-rf", "/"])
    assert (denied.state, denied.exit_code, denied.stdout_bytes) == ("denied", 126, None)
    slow = web.run(["sleep", "60"], timeout=0.2)
    assert (slow.state, slow.exit_code) == ("timeout", 124)


def test_a_result_has_the_output_of_both_streams_apart(web: rexec.Host) -> None:
    result = web.run(["sh", "-c", "echo out; echo err >&2"])
    assert (result.stdout, result.stderr, result.text) == (b"out\n", b"err\n", "out\n")
    assert (result.stdout_bytes, result.stderr_bytes) == (4, 4)
    assert result.rule is not None
    assert result.rule.startswith("cmds.txt:")
    assert result.wall_s is not None
    assert result.wall_s > 0


def test_check_raises_and_the_error_has_the_result(web: rexec.Host) -> None:
    assert web.run(["true"], check=True).ok
    with pytest.raises(rexec.CommandError, match=r": sh: status 3$") as caught:
        web.run(["sh", "-c", "echo before; exit 3"], check=True)
    assert caught.value.exit_code == 3
    assert caught.value.result.stdout == b"before\n"
    with pytest.raises(rexec.CommandError, match=r": n\\x1bo: denied: "):
        web.run(["n\x1bo"], check=True)


def test_words_arrive_byte_for_byte(web: rexec.Host) -> None:
    """security.md, Around the allow list: "bytes are data, they arrive unchanged"."""
    every = bytes(range(1, 256))
    words = ["", " a  b ", "$(id)", "`id`", "*", "\n", "--help", "é", every, Path("x/y"), "\udcff"]
    seen = web.run(
        ["python3", "-c", "import os,sys;print(*[os.fsencode(w).hex() for w in sys.argv[1:]])", *words]
    )
    assert [bytes.fromhex(word) for word in seen.text.rstrip("\n").split(" ")] == [
        os.fsencode(w) for w in words
    ]


@pytest.mark.parametrize("argv", ["ls -l", b"ls", Path("ls"), 5, None])
def test_one_string_is_no_argument_vector(web: rexec.Host, argv: object) -> None:
    with pytest.raises(TypeError, match=r"argv is a sequence of words such as \['ls', '-l'\]"):
        web.run(argv)  # type: ignore[arg-type]


def test_no_words_are_a_usage_error(web: rexec.Host) -> None:
    with pytest.raises(rexec.UsageError, match="argv is empty"):
        web.run([])


def test_a_nul_byte_is_denied_and_the_connection_lives(web: rexec.Host) -> None:
    """security.md, Around the allow list: "NUL in an argument or variable: refused"."""
    assert web.run(["ls", "a\0b"]).state == "denied"
    assert web.run(["true"]).ok


def test_more_words_than_a_frame_holds_are_an_error_and_the_connection_lives(web: rexec.Host) -> None:
    """security.md, Around the allow list: "100,000 arguments, one of 3 MB: a clear error"."""
    for words in (["x"] * 100_000, ["x" * 3_000_000]):
        with pytest.raises(rexec.RexecError):
            web.run(["ls", *words])
    assert web.run(["true"]).ok


def test_environment_and_directory_are_asked_within_policy(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    server = make_host(f"sh ...\n    cwd ask {tmp_path}/**\n    env pass MODE\nls\n").start()
    script = ["sh", "-c", 'printf "%s in %s" "$MODE" "$PWD"']
    with rexec.connect(server.address, home=server.home) as web:
        assert web.run(script, env={"MODE": "fast"}, cwd=tmp_path).text == f"fast in {tmp_path}"
        assert web.run(script, env={b"MODE": b"\xff"}, cwd=str(tmp_path)).stdout.startswith(b"\xff in ")
        assert web.run(["ls"], env={"MODE": "fast"}).state == "denied"
        assert web.run(["ls"], cwd=tmp_path).state == "denied"
        with pytest.raises(TypeError, match="env is a mapping"):
            web.run(["ls"], env=["A=b"])  # type: ignore[arg-type]


def test_variables_of_the_configuration_go_along(make_host: Callable[..., Host]) -> None:
    server = make_host("env []\n    env pass MODE HOME_TOWN\n").start()
    (server.home / "config.toml").write_text('[client]\nenv = ["MODE=slow"]\n')
    with rexec.connect(server.address, home=server.home) as web:
        assert b"MODE=slow\n" in web.run(["env"]).stdout
    (server.home / "config.toml").write_text('[client]\nenv = ["NOT_SET_ANYWHERE"]\n')
    with (
        rexec.connect(server.address, home=server.home) as web,
        pytest.raises(rexec.UsageError, match="no such variable"),
    ):
        web.run(["env"])


@pytest.mark.parametrize("wrong", [0, -1, 1e12, float("nan")])
def test_a_timeout_that_is_none_is_a_usage_error(web: rexec.Host, wrong: float) -> None:
    with pytest.raises(rexec.UsageError, match="timeout is"):
        web.run(["true"], timeout=wrong)
    with pytest.raises(TypeError, match="timeout is a number of seconds, not str"):
        web.run(["true"], timeout="5s")  # type: ignore[arg-type]


# --- streams -------------------------------------------------------------------------------------


def test_input_is_bytes_a_file_or_a_descriptor(web: rexec.Host, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"file\n")
    end, other = os.pipe()
    os.write(other, b"pipe\n")
    os.close(other)
    with (tmp_path / "in").open("rb") as file:
        assert web.run(["cat"], input=file).stdout == b"file\n"
    assert web.run(["cat"], input=end).stdout == b"pipe\n"
    os.close(end)
    for given in (b"here\n", bytearray(b"here\n"), memoryview(b"here\n"), io.BytesIO(b"here\n")):
        assert web.run(["cat"], input=given).stdout == b"here\n"
    assert web.run(["cat"]).stdout == b""
    for wrong in ("text", io.StringIO("text"), 1.5):
        with pytest.raises(TypeError, match="input is bytes"):
            web.run(["cat"], input=wrong)  # type: ignore[arg-type]


def test_output_goes_to_a_file_a_descriptor_or_a_callable(web: rexec.Host, tmp_path: Path) -> None:
    script = ["sh", "-c", "echo out; echo err >&2"]
    with (tmp_path / "out").open("wb") as file:
        file.write(b"before\n")
        result = web.run(script, stdout=file)
    assert (tmp_path / "out").read_bytes() == b"before\nout\n"
    assert (result.stdout, result.stderr, result.stdout_bytes) == (b"", b"err\n", 4)
    pieces: list[bytes] = []
    memory = io.BytesIO()
    assert web.run(script, stdout=pieces.append, stderr=memory).ok
    assert (b"".join(pieces), memory.getvalue()) == (b"out\n", b"err\n")
    end, other = os.pipe()
    assert web.run(script, stdout=other).ok
    assert os.read(end, 99) == b"out\n"
    os.close(end)
    os.close(other)
    with pytest.raises(TypeError, match="output goes to"):
        web.run(script, stdout=io.StringIO())
    with pytest.raises(TypeError, match="output goes to"):
        web.run(script, stdout="out")  # type: ignore[arg-type]


def test_a_disk_that_is_full_is_never_a_success(web: rexec.Host) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        result = web.run(["yes"], stdout=full)
    assert (result.state, result.error) == ("lost", "stdout: no space left on device")
    assert web.run(["true"]).ok


def test_a_reader_that_went_away_ends_the_command(web: rexec.Host) -> None:
    end, other = os.pipe()
    os.close(end)
    result = web.run(["yes"], stdout=other)
    os.close(other)
    assert (result.state, result.signal) == ("signal", "PIPE")


def test_a_callable_runs_in_the_thread_that_waits_and_may_use_the_host(web: rexec.Host) -> None:
    seen: list[object] = []

    def take(data: bytes) -> None:
        seen.append((threading.current_thread(), web.run(["printf", "%s", data]).stdout))

    web.run(["printf", "x"], stdout=take)
    assert seen == [(threading.current_thread(), b"x")]


def test_what_a_callable_raises_ends_the_command_and_is_raised(host: Host) -> None:
    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    with rexec.connect(host.address, home=host.home) as web:
        with pytest.raises(ZeroDivisionError):
            web.run(["yes"], stdout=fail)
        host.wait_for(r"rexec-server: end ")
        assert web.run(["true"]).ok


@pytest.mark.parametrize("options", [(), ("--no-tls",)], ids=["tls", "in the clear"])
def test_bulk_both_ways_at_once_is_whole(make_host: Callable[..., Host], options: tuple[str, ...]) -> None:
    server = make_host().start(*options)
    data = os.urandom(BULK)
    with rexec.connect(server.address, home=server.home, tls=not options) as web:
        assert web.run(["cat"], input=data).stdout == data
        with web.popen(["cat"]) as process:
            writer = threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close()))
            writer.start()
            assert process.stdout.read() == data
            writer.join()
            assert process.wait(check=True).stdout_bytes == BULK


# --- processes -----------------------------------------------------------------------------------


def test_a_process_is_talked_to_line_by_line(web: rexec.Host) -> None:
    with web.popen(["cat"]) as process:
        for line in (b"one\n", b"two\n"):
            assert process.stdin.write(line) == 4
            assert process.stdout.readline() == line
        assert process.poll() is None
        with process.stdin:
            process.stdin.write(b"last\nrest")
        assert process.stdout.read(2) == b"la"
        assert process.stdout.read1(1) == b"s"
        assert list(process.stdout) == [b"t\n", b"rest"]
        assert (process.stdout.read(), process.stdout.read1(), process.stderr.read()) == (b"", b"", b"")
        assert process.wait().ok
        assert process.poll() == process.wait()


def test_nothing_is_read_where_nothing_is_asked_for(web: rexec.Host) -> None:
    with web.popen(["printf", "x"]) as process:
        assert process.stdout.read(0) == b""
        assert process.stdout.read1(0) == b""
        assert process.stdout.read(5) == b"x"


def test_a_line_longer_than_any_window_is_read_whole(web: rexec.Host) -> None:
    size = 3 * WINDOW_MAX
    with web.popen(["python3", "-c", f"print('x' * {size})"]) as process:
        assert process.stdout.readline() == b"x" * size + b"\n"


def test_what_is_not_read_stops_the_command_and_no_other(web: rexec.Host) -> None:
    """security.md, Processes: "Output flood with a client that does not read: the child blocks"."""
    with web.popen(["yes"]) as process:
        assert process.stdout.read(2) == b"y\n"
        assert web.run(["seq", "200000"]).text.endswith("\n200000\n")
        assert process.poll() is None
    result = process.wait()
    assert result.stdout_bytes is not None
    assert result.stdout_bytes <= WINDOW_MAX


def test_leaving_the_block_ends_a_process_that_ignores_term(host: Host) -> None:
    with rexec.connect(host.address, home=host.home) as web:
        with web.popen(["sh", "-c", "trap '' TERM PIPE; echo up; while :; do sleep 1; done"]) as process:
            assert process.stdout.readline() == b"up\n"
        assert process.wait().signal == "KILL"
        assert web.run(["true"]).ok


def test_signals_reach_the_process(web: rexec.Host) -> None:
    with web.popen(
        ["sh", "-c", "trap 'echo got; exit 5' USR1; echo up; while :; do sleep 0.1; done"]
    ) as process:
        assert process.stdout.readline() == b"up\n"
        process.signal("SIGUSR1")
        assert process.stdout.readline() == b"got\n"
        assert process.wait().exit_code == 5
    with web.popen(["sleep", "100"]) as process:
        with pytest.raises(TimeoutError):
            process.wait(timeout=0)
        process.kill()
        assert process.wait().signal == "KILL"
        process.kill()  # late, and no error


def test_closing_a_stream_tells_the_process(web: rexec.Host) -> None:
    with web.popen(["yes"]) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait().signal == "PIPE"
        assert process.stdout.read() == b""


def test_a_process_that_reads_no_more_breaks_the_pipe(web: rexec.Host) -> None:
    """security.md, Processes: "A program that never reads stdin while stdin floods: it ends"."""
    with web.popen(["true"]) as process, pytest.raises(BrokenPipeError):
        process.stdin.write(bytes(BULK))
    with web.popen(["cat"]) as process:
        process.stdin.close()
        process.stdin.close()
        with pytest.raises(BrokenPipeError):
            process.stdin.write(b"late")


def test_a_denied_process_has_no_streams_and_says_why(web: rexec.Host) -> None:
    with web.popen(["rm"]) as process:
        assert process.stdout.read() == b""
        assert process.wait().state == "denied"
        with pytest.raises(rexec.CommandError):
            process.wait(check=True)


def test_many_processes_run_at_once_in_one_thread(web: rexec.Host) -> None:
    processes = [web.popen(["cat"]) for _ in range(50)]
    for number, process in enumerate(processes):
        process.stdin.write(b"%d" % number)
        process.stdin.close()
    assert [process.stdout.read() for process in reversed(processes)] == [
        b"%d" % n for n in reversed(range(50))
    ]
    assert all(process.wait().ok for process in processes)


def test_several_threads_use_one_host(web: rexec.Host) -> None:
    found: dict[int, bytes] = {}

    def work(number: int) -> None:
        found[number] = b"".join(web.run(["printf", "%s", f"{number}."]).stdout for _ in range(10))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: b"%d." % number * 10 for number in range(8)}


# --- the policy ----------------------------------------------------------------------------------


def test_the_rules_are_listed(web: rexec.Host) -> None:
    rules = web.list()
    assert [rule.text for rule in rules] == RULES.splitlines()
    assert rules[0] == rexec.Rule("cmds.txt:1", "true", "")


def test_a_decision_is_explained_and_nothing_is_started(shared_host: Host, web: rexec.Host) -> None:
    started = shared_host.count("rexec-server: allow ")
    assert web.explain(["ls", "-l"]).allowed
    denied = web.explain(["rm"])
    assert (denied.allowed, denied.exit_code) == (False, 126)
    assert denied.lines[-1].startswith("denied: ")
    assert shared_host.count("rexec-server: allow ") == started


# --- commands that run on without us -------------------------------------------------------------


def test_a_detached_command_is_had_again(make_host: Callable[..., Host]) -> None:
    host = make_host("sh ...\n    detach\ntrue\n").start()
    with rexec.connect(host.address, home=host.home) as web:
        name = web.detach(["sh", "-c", "echo out; echo err >&2; exit 3"])
        with pytest.raises(rexec.CommandError, match=r"true: denied: .* lets no command be detached"):
            web.detach(["true"])
    with rexec.connect(host.address, home=host.home) as web:
        result = web.attach(name)
        assert (result.state, result.exit_code, result.stdout, result.stderr) == (
            "failed",
            3,
            b"out\n",
            b"err\n",
        )
        pieces: list[bytes] = []
        assert web.logs(name, follow=True, stdout=pieces.append).exit_code == 0
        assert b"".join(pieces) == b"out\n"
        (job,) = web.jobs()
        assert (job.id, job.state, job.exit_status, job.rule) == (name, "failed", 3, "cmds.txt:1")
        assert job.command == ("sh", "-c", "echo out; echo err >&2; exit 3")
        web.kill(name)
        for ask in (web.kill, web.logs):
            with pytest.raises(rexec.CommandError, match="no detached command of yours"):
                ask("nothing")
        with pytest.raises(TypeError, match="the id of a command is a str, not int"):
            web.attach(7)  # type: ignore[arg-type]


# --- the end -------------------------------------------------------------------------------------


def test_a_server_that_is_killed_loses_what_runs_and_what_comes(host: Host) -> None:
    """security.md, Protocol, TLS, authentication: "a dropped tail"."""
    with rexec.connect(host.address, home=host.home) as web:
        process = web.popen(["sh", "-c", "echo up; exec sleep 100"])
        assert process.stdout.readline() == b"up\n"
        host.stop(signal.SIGKILL)
        result = process.wait()
        assert (result.state, result.exit_code) == ("lost", 255)
        assert result.error is not None
        assert result.error.endswith("output incomplete at byte 3")
        with pytest.raises(rexec.ConnectionLost):
            process.stdout.read()
        with pytest.raises(rexec.ConnectionLost):
            process.stdin.write(b"x")
        with pytest.raises(rexec.ConnectionLost):
            web.run(["true"])
        process.kill()


def test_a_host_that_is_closed_ends_what_runs(host: Host) -> None:
    web = rexec.connect(host.address, home=host.home)
    process = web.popen(["sh", "-c", "echo up; exec sleep 100"])
    assert process.stdout.readline() == b"up\n"
    web.close()
    web.close()
    assert process.wait().state == "lost"
    with pytest.raises(rexec.ConnectionLost, match="connection closed"):
        web.run(["true"])
    host.wait_for(r"rexec-server: left .*goodbye")


def test_a_host_that_is_forgotten_says_goodbye(host: Host) -> None:
    before = len(os.listdir("/proc/self/fd"))
    web = rexec.connect(host.address, home=host.home)
    assert web.run(["true"]).ok
    del web
    gc.collect()
    host.wait_for(r"rexec-server: left .*goodbye")
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before, "descriptors closed")


def test_nothing_is_left_of_many_hosts(shared_host: Host) -> None:
    def use() -> None:
        with rexec.connect(shared_host.address, home=shared_host.home) as web:
            assert web.run(["cat"], input=b"x", stdout=lambda data: None).ok
            web.popen(["sleep", "100"])

    use()
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(10):
        use()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert threading.active_count() <= threads


def test_a_key_that_is_interrupted_ends_the_command(host: Host) -> None:
    """security.md, People's terminals, logs and files: "Ctrl-C"."""
    with rexec.connect(host.address, home=host.home) as web:
        watcher = threading.Thread(
            target=lambda: (host.wait_for(r"rexec-server: allow "), os.kill(os.getpid(), signal.SIGINT))
        )
        watcher.start()
        with pytest.raises(KeyboardInterrupt):
            web.run(["sleep", "100"])
        watcher.join(PATIENCE)
        host.wait_for(r"rexec-server: end ")
        assert web.run(["true"]).ok
