"""A rule with `rate` starts so many within a time, whoever asks."""

from __future__ import annotations

from collections.abc import Callable

from tests.regress.conftest import Host, wait_until


def test_one_more_is_denied_and_says_when_to_try_again(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `rate 10/min`: "a failed one is a denial with the same record"."""
    host = make_host("true\n    rate 3/h\nfalse\n").start()
    other = host.guest("bob")
    assert [host.run("true").returncode for _ in range(3)] == [0, 0, 0]
    for env in ({}, other):
        done = host.run("true", env=env, options=("--accept-new",))
        assert done.returncode == 126
        assert b"cmds.txt:1 starts at most 3 an hour: try again in 3" in done.stderr
    host.wait_for("rexec-server: deny .*starts at most 3 an hour", count=2)
    assert host.run("false").returncode == 1


def test_a_denial_does_not_count(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `rate`: counted are starts; who asks in vain puts nothing off."""
    host = make_host("true\n    rate 1/s\n").start()
    assert host.run("true").returncode == 0
    # Asked again and again within that second: if those who are refused counted, nobody ever got in.
    wait_until(lambda: host.run("true").returncode == 0, "a second has passed since the last start")


def test_a_reload_gives_nobody_a_fresh_start(make_host: Callable[..., Host]) -> None:
    """security.md, Around the allow list: "Policy reload while a request is judged"; counts survive."""
    host = make_host("true\n    rate 1/d\n").start()
    assert host.run("true").returncode == 0
    host.allow_list.write_text("# another line\ntrue\n    rate 1/d\n")
    host.process.send_signal(1)  # type: ignore[union-attr]
    host.wait_for("rexec-server: reload result=done")
    assert host.run("true").returncode == 126
