"""known_hosts, and what a key that a server shows means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.known import Known, Trust, known_line, parse_known, place_of, verdict
from rexec.errors import ConfigError
from tests.auth.samples import VALUES, public

ED = " ".join(VALUES["ed.pub"].split()[:2])
RSA = " ".join(VALUES["rsa.pub"].split()[:2])


def known(*lines):
    return parse_known("\n".join(lines) + "\n", "known_hosts")


def judge(entries, host="web1", port=5512, key="ed"):
    return verdict(entries, host, port, public(key))


def test_nothing_known_is_new():
    for entries in (known(), known("# comment", "", f"[web2]:5512 {ED}"), Known(())):
        assert judge(entries).trust is Trust.NEW


def test_a_pinned_key_matches():
    found = judge(known("", known_line("web1", 5512, public("ed"))))
    assert (found.trust, found.lines, found.fingerprints) == (
        Trust.MATCH,
        (2,),
        (public("ed").fingerprint(),),
    )
    assert repr(found) == "Verdict(MATCH, lines=(2,))"


def test_a_changed_key_names_the_old_lines_and_fingerprints():
    found = judge(known(f"[web1]:5512 {RSA}", f"[web1]:5512,web9 {RSA} again"))
    assert (found.trust, found.lines, found.fingerprints) == (
        Trust.CHANGED,
        (1, 2),
        (public("rsa").fingerprint(),),
    )


def test_one_of_several_keys_is_enough():
    assert judge(known(f"[web1]:5512 {RSA}", f"[web1]:5512 {ED}")).lines == (2,)


@pytest.mark.parametrize("name", ["web1", "[web1]:22", "[WEB1]:7000", "web*", "[web?]:22", "x,[web1]:22"])
def test_a_key_known_on_another_port_is_known_and_another_key_there_says_nothing(name):
    entries = known(f"{name} {ED}")
    assert judge(entries).trust is Trust.MATCH
    assert judge(entries, key="rsa").trust is Trust.NEW


def test_lookup_tells_this_port_from_others():
    exact, elsewhere = known(f"[web1]:5512 {ED}", f"web1 {RSA}", f"@revoked web1 {RSA}").lookup("Web1", 5512)
    assert ([entry.line for entry in exact], [entry.line for entry in elsewhere]) == ([1], [2])


@pytest.mark.parametrize("host", ["web1", "WEB1", "Web1"])
def test_hosts_compare_without_case(host):
    assert judge(known(f"[wEb1]:5512 {ED}"), host=host).trust is Trust.MATCH
    assert place_of(host, 1) == "[web1]:1"


@pytest.mark.parametrize(
    "name", ["[*.example.com]:5512", "*", "[web?.example.com]:*", "a,[web1.example.com]:5512"]
)
def test_patterns_and_lists_are_obeyed(name):
    assert judge(known(f"{name} {RSA}"), host="web1.example.com").trust is Trust.CHANGED


@pytest.mark.parametrize("name", ["*,![web1]:5512", "![web1]:*,*"])
def test_an_excluded_host_is_not_named(name):
    assert judge(known(f"{name} {ED}")).trust is Trust.NEW
    assert judge(known(f"{name} {ED}"), host="web2").trust is Trust.MATCH


def test_hashed_names_of_ssh_keygen_are_found():
    entries = known(VALUES["known.exact"], VALUES["known.host"])
    assert judge(entries, host="web1.example.com").lines == (1,)
    assert judge(entries, host="web2").lines == (2,)
    assert judge(entries, host="web3").trust is Trust.NEW
    assert judge(entries, host="\udcff").trust is Trust.NEW
    assert judge(entries, host="web1.example.com", key="rsa").trust is Trust.CHANGED
    assert judge(entries, host="web2", key="rsa").trust is Trust.NEW


@pytest.mark.parametrize("name", ["web1", "[web1]:5512", "[web1]:22", "*"])
def test_a_revoked_key_is_refused_on_every_port_even_when_it_is_pinned(name):
    entries = known(f"[web1]:5512 {ED}", f"@revoked {name} {ED}")
    assert judge(entries).trust is Trust.REVOKED
    assert judge(entries).lines == (2,)
    assert judge(known(f"@revoked {name} {ED}"), key="rsa").trust is Trust.NEW


def test_a_key_revoked_for_another_host_is_not_refused():
    assert judge(known(f"@revoked web2 {ED}")).trust is Trust.NEW


def test_authorities_and_unknown_kinds_of_keys_say_nothing():
    entries = known(
        f"@cert-authority * {ED}", "web1 ssh-dss AAAA", f"* {VALUES['rsa1024.pub']}", "@cert-authority"
    )
    assert judge(entries).trust is Trust.NEW


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("@other web1 ssh-ed25519 AAAA", "marker @other is not known"),
        ("@revoked", "hosts, a type and a key are wanted"),
        ("web1 ssh-ed25519", "hosts, a type and a key are wanted"),
        ("web1 ssh-ed25519 AAA", "not base64"),
        (f"|1|AAAA {ED}", "not .1.salt.hash"),
        (f"|1||AAAA {ED}", "not .1.salt.hash"),
        (f"|1|AAA|AAAA {ED}", "not base64"),
        (f"|2|AAAA|AAAA {ED}", "not .1.salt.hash"),
        (f"web1,|1|AAAA|AAAA {ED}", "not .1.salt.hash"),
    ],
)
def test_a_line_in_doubt_is_an_error_with_its_place_and_the_way_out(line, why):
    with pytest.raises(ConfigError, match=f"^known_hosts:2: .*{why}") as caught:
        known(f"web1 {ED}", line)
    assert caught.value.hint == "remove line 2 of known_hosts"


def test_a_socket_keeps_its_case_and_has_no_port():
    line = known_line("unix:/run/Rexec.sock", None, public("ed"))
    assert line == f"unix:/run/Rexec.sock {ED}"
    assert judge(known(line), host="unix:/run/Rexec.sock", port=None).trust is Trust.MATCH
    assert judge(known(line), host="unix:/run/rexec.sock", port=None).trust is Trust.NEW


@pytest.mark.parametrize(
    "host", ["", "a b", "a,b", "a\nb", "*", "!a", "|1|a", "#a", "@revoked", "a\x1b", "a\u202e"]
)
def test_a_host_that_would_be_something_else_in_the_file_is_not_written(host):
    """security.md, People's terminals: control characters, newlines, bidi marks in host names."""
    with pytest.raises(ConfigError, match="cannot be written"):
        known_line(host, 5512, public("ed"))


@pytest.mark.parametrize("host", ["web1", "192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("port", [22, 5512])
def test_what_is_written_matches_when_it_is_read(host, port):
    entries = known(known_line(host, port, public("ed")))
    assert judge(entries, host, port).trust is Trust.MATCH
    assert judge(entries, host, port, "rsa").trust is Trust.CHANGED


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_in_one_way(text):
    refusal = None
    try:
        known(text)
    except ConfigError as error:
        refusal = str(error)
    assert refusal is None or refusal.startswith("known_hosts:")
