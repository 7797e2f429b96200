"""The messages of ssh-agent."""

import os
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth import agent
from rexec.auth.blob import Malformed, string, u32
from rexec.auth.signature import check_signature
from tests.auth.samples import KINDS, pem, private, public

ED = string(public("ed").blob) + string(b"alice")


def identities(*keys, count=None):
    return b"\x0c" + u32(len(keys) if count is None else count) + b"".join(keys)


def test_requests_are_those_of_the_draft():
    assert agent.request_identities() == b"\0\0\0\1\x0b"
    assert agent.request_sign(b"key", b"data", 4) == (b"\0\0\0\x14\x0d\0\0\0\3key\0\0\0\4data\0\0\0\4")


def test_rsa_is_asked_for_sha2():
    assert [agent.flags_for(public(kind)) for kind in ("ed", "rsa", "ec256")] == [0, 4, 0]


def test_keys_are_listed_with_their_comments():
    rsa = string(public("rsa").blob) + string(b"\xff")
    assert agent.parse_identities(identities(ED, rsa)) == ((public("ed"), "alice"), (public("rsa"), "\ufffd"))
    assert agent.parse_identities(identities()) == ()


def test_keys_of_kinds_we_do_not_know_are_left_out():
    odd = string(string(b"sk-ssh-ed25519@openssh.com")) + string(b"")
    assert agent.parse_identities(identities(odd, ED, string(b"") + string(b""))) == (
        (public("ed"), "alice"),
    )


def test_a_signature_is_handed_over():
    signature = agent.parse_signature(b"\x0e" + string(private("ed").sign(b"x")))
    check_signature(public("ed"), b"x", signature)


@pytest.mark.parametrize("parse", [agent.parse_identities, agent.parse_signature])
def test_a_refusal_is_told_from_nonsense(parse):
    with pytest.raises(agent.AgentRefused):
        parse(b"\5")
    for reply in (b"", b"\6", b"\x0c", b"\x0e"):
        with pytest.raises(Malformed):
            parse(reply)


@pytest.mark.parametrize(
    "reply", [identities(ED) + b"x", identities(ED, count=2), identities(count=2**32 - 1)]
)
def test_a_list_that_lies_about_its_length_is_refused(reply):
    """security.md, Protocol: deep or huge lists: judged before allocation."""
    with pytest.raises(Malformed):
        agent.parse_identities(reply)


def test_a_signature_with_leftovers_is_refused():
    with pytest.raises(Malformed, match="left over"):
        agent.parse_signature(b"\x0e" + string(b"x") + b"y")


def test_the_length_of_a_reply_is_judged_before_it_is_read():
    """security.md, Protocol: length 0xFFFFFFFF: judged before allocation."""
    assert agent.reply_size(u32(1)) == 1
    assert agent.reply_size(u32(256 * 1024)) == 256 * 1024
    for length in (u32(0), u32(256 * 1024 + 1), b"\xff" * 4, b"\0\0\1", b""):
        with pytest.raises(Malformed, match="an agent's message has 1 to 262144 bytes"):
            agent.reply_size(length)


@given(st.binary(max_size=60))
def test_any_bytes_are_keys_or_an_error_of_ours(reply):
    for parse in (agent.parse_identities, agent.parse_signature):
        try:
            parse(reply)
        except (Malformed, agent.AgentRefused):
            pass


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as link, link.makefile("rb") as replies:
        link.connect(path)
        link.sendall(request)
        return replies.read(agent.reply_size(replies.read(agent.LENGTH_SIZE)))


@pytest.fixture
def running_agent(tmp_path):
    path = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # it listens by now
        yield path
        process.terminate()


@pytest.mark.system
def test_a_real_agent_lists_and_signs_with_every_kind_of_key(tmp_path, running_agent):
    for kind in KINDS:
        key = tmp_path / kind
        key.touch(0o600)
        key.write_bytes(pem(kind))
        environ = {**os.environ, "SSH_AUTH_SOCK": running_agent}
        subprocess.run(["ssh-add", "-q", str(key)], env=environ, check=True)
    listed = [key for key, _ in agent.parse_identities(ask(running_agent, agent.request_identities()))]
    assert listed == [public(kind) for kind in KINDS]
    for key in listed:
        reply = ask(running_agent, agent.request_sign(key.blob, b"x", agent.flags_for(key)))
        check_signature(key, b"x", agent.parse_signature(reply))
