"""authorized_keys, and who a key stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.authorized import Authorized, authorized_line, parse_authorized
from rexec.auth.options import parse_time
from rexec.errors import ConfigError
from tests.auth.samples import VALUES, public

ED, RSA = VALUES["ed.pub"], VALUES["rsa.pub"]
NOW = parse_time("20250101Z")


def parse(*lines):
    return parse_authorized("\n".join(lines) + "\n", "authorized_keys", "owner")


def judge(authorized, key="ed", user="", peer="192.0.2.1", now=NOW):
    return authorized.judge(public(key), user, peer, now)


def test_a_line_without_user_is_for_the_owner_whatever_its_comment_says():
    """The comment means nothing: who sends a key writes it."""
    authorized = parse("# comment", "", f"  {ED} root@everywhere")
    assert judge(authorized).user == "owner"
    assert judge(authorized, user="owner").user == "owner"
    assert judge(authorized, user="alice") is None


def test_a_principal_is_what_its_line_says():
    line = f'user="alice,bob",groups="ops",no-pty,expiry-time="20300101Z" {ED}'
    principal = judge(parse(line))
    assert principal.user == "alice"
    assert principal.groups == frozenset({"ops"})
    assert principal.key == public("ed")
    assert principal.fingerprint == public("ed").fingerprint()
    assert principal.pty_allowed is False
    assert principal.expires == parse_time("20300101Z")
    assert repr(principal) == f"Principal(alice, {public('ed').fingerprint()})"


def test_a_key_without_options_may_have_a_terminal_and_never_expires():
    principal = judge(parse(ED))
    assert (principal.pty_allowed, principal.expires, principal.groups) == (True, None, frozenset())


def test_a_user_asked_for_must_be_one_of_the_key():
    authorized = parse(f'user="alice,bob" {ED}')
    assert judge(authorized, user="bob").user == "bob"
    assert judge(authorized, user="owner") is None


def test_an_unknown_key_is_nobody():
    assert judge(parse(ED), key="rsa") is None
    assert judge(Authorized()) is None


def test_the_first_line_that_takes_everything_decides():
    authorized = parse(
        f'user="old",expiry-time="20200101Z" {ED}',
        f'user="far",from="10.0.0.0/8" {ED}',
        f'user="alice",groups="first" {ED}',
        f'user="alice",groups="second" {ED}',
    )
    assert judge(authorized).groups == {"first"}
    assert judge(authorized, peer="10.0.0.1").user == "far"
    assert judge(authorized, now=0.0).user == "old"
    assert len(authorized) == 4


def test_a_key_expires_at_its_time():
    authorized = parse(f'expiry-time="20250101Z" {ED}')
    assert judge(authorized, now=NOW - 0.001)
    assert judge(authorized, now=NOW) is None


def test_a_limited_key_is_refused_where_there_is_no_address():
    assert judge(parse(f'from="*" {ED}'), peer=None) is None
    assert judge(parse(ED), peer=None)


def test_a_revoked_or_expired_key_is_noticed_when_it_is_judged_again():
    """security.md, Protocol: revoked or expired keys with a session still open: judged again."""
    before = parse(f'user="alice",groups="ops",expiry-time="20260101Z" {ED}')
    principal = judge(before)
    again = before.judge_again(principal, "192.0.2.1", NOW)
    assert again == principal
    assert hash(again) == hash(principal)
    assert before.judge_again(principal, "192.0.2.1", parse_time("20260101Z")) is None
    assert parse(RSA).judge_again(principal, "192.0.2.1", NOW) is None
    assert parse(f'user="bob" {ED}').judge_again(principal, "192.0.2.1", NOW) is None
    fewer = parse(f'user="alice" {ED}').judge_again(principal, "192.0.2.1", NOW)
    assert fewer != principal
    assert fewer.groups == frozenset()
    assert principal != "alice"


@pytest.mark.parametrize(
    "option", ['command="ls"', "cert-authority", 'environment="A=b"', "agent-forwarding"]
)
def test_an_option_of_another_kind_refuses_the_whole_file(option):
    name = option.partition("=")[0]
    with pytest.raises(
        ConfigError, match=f"^authorized_keys:3: option {name} is not supported, .* widen access$"
    ):
        parse(ED, "", f"{option} {RSA}")


def test_cert_authority_is_refused_whatever_the_type_of_its_key():
    with pytest.raises(ConfigError, match=":1: option cert-authority"):
        parse("cert-authority ssh-dss AAAA")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ssh-ed25519", "not a public key"),
        ("ssh-ed25519 AAAA", "too early"),
        ('user="a"', "not a public key"),
        ('user="a ' + ED, "quote is not closed"),
        ("ssh-ed2551 AAAA", "option ssh-ed2551 is not supported"),
        (f'from="*.example.com" {ED}', "not an address"),
    ],
)
def test_a_line_in_doubt_refuses_the_whole_file(line, why):
    with pytest.raises(ConfigError, match=f"^authorized_keys:2: .*{why}"):
        parse(ED, line)


@pytest.mark.parametrize(
    "line",
    ["ssh-dss AAAA x", "sk-ssh-ed25519@openssh.com AAAA", VALUES["ed-cert.pub"], VALUES["rsa1024.pub"]],
)
def test_a_key_of_use_to_sshd_alone_grants_nothing_and_is_noted(line):
    authorized = parse(f'user="a" {line}', ED)
    assert len(authorized) == 1
    (note,) = authorized.notes
    assert note.startswith("authorized_keys:1: ")
    assert note.endswith("this key cannot be used")


def test_the_line_for_a_key_gives_that_user_and_those_groups():
    assert authorized_line(public("ed"), "bob") == f'user="bob" {ED.rsplit(" ", 1)[0]} bob'
    principal = judge(parse(authorized_line(public("ed"), "bob", ["x", "y"])))
    assert (principal.user, principal.groups) == ("bob", {"x", "y"})


@pytest.mark.parametrize(("user", "groups"), [("", []), ('a",command="x', []), ("a", ["b c"]), ("a\n", [])])
def test_a_line_for_what_is_no_name_is_refused(user, groups):
    with pytest.raises(ConfigError, match="is not a name"):
        authorized_line(public("ed"), user, groups)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_in_one_way(text):
    refusal = None
    try:
        parse(text)
    except ConfigError as error:
        refusal = str(error)
    assert refusal is None or refusal.startswith("authorized_keys:")
