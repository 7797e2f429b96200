"""OpenSSH's container of a private key, read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.blob import Malformed, string, u32
from rexec.auth.container import LABEL, Container, armour, ed25519_seed, unarmour, write_ed25519
from tests.auth.samples import KINDS, VALUES, pem, public, raw

MAGIC = b"openssh-key-v1\0"


@pytest.mark.parametrize("kind", [*KINDS, "edenc"])
def test_the_public_half_stands_in_the_clear(kind):
    container = Container.decode(raw(f"{kind}.key"))
    assert container.public == public(kind)
    assert container.encrypted is (kind == "edenc")


@pytest.mark.parametrize("kind", KINDS)
def test_the_comment_of_every_kind_is_found(kind):
    assert Container.decode(raw(f"{kind}.key")).open()[1] == VALUES[f"{kind}.pub"].split(None, 2)[2]


def test_what_is_written_is_read_back():
    seed, comment = ed25519_seed(Container.decode(raw("ed.key")))
    again = ed25519_seed(Container.decode(write_ed25519(public("ed"), seed, comment)))
    assert again == (seed, "alice@laptop")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_comment_is_kept_and_padded(comment):
    data = write_ed25519(public("ed"), bytes(32), comment)
    assert ed25519_seed(Container.decode(data)) == (bytes(32), comment)


@given(st.binary(min_size=1, max_size=200))
def test_armour_is_taken_off_as_it_was_put_on(data):
    assert unarmour(LABEL, armour(LABEL, data)) == data


@pytest.mark.parametrize("text", [b"", b"x", armour("OTHER KEY", b"abc"), pem("ed")[:-5], b"x\n" + pem("ed")])
def test_armour_that_is_not_whole_is_refused(text):
    with pytest.raises(Malformed, match="first or last line"):
        unarmour(LABEL, text)


def test_armour_takes_the_line_ends_of_other_systems():
    assert unarmour(LABEL, pem("ed").replace(b"\n", b"\r\n")) == raw("ed.key")


def build(cipher=b"none", count=1, secret=None, end=b"", blob=None):
    blob = public("ed").blob if blob is None else blob
    secret = section() if secret is None else secret
    return (
        MAGIC
        + string(cipher)
        + string(b"none")
        + string(b"")
        + u32(count)
        + string(blob)
        + string(secret)
        + end
    )


def section(check=b"1234", kind=b"ssh-ed25519", point=None, seed=bytes(32), copy=None, padding=None):
    point = public("ed").point() if point is None else point
    copy = public("ed").point() if copy is None else copy
    body = check + b"1234" + string(kind) + string(point) + string(seed + copy) + string(b"")
    return body + (bytes(range(1, -len(body) % 8 + 1)) if padding is None else padding)


def test_the_parts_are_valid_when_nothing_is_changed():
    assert ed25519_seed(Container.decode(build())) == (bytes(32), "")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" + build(), "not an OpenSSH private key"),
        (build(count=2), "exactly one key"),
        (build(blob=b""), "too early"),
        (build(end=b"x"), "left over"),
        (build(secret=section() + b"x"), "cut off"),
        (build(secret=section(check=b"1235")), "check numbers"),
        (build(secret=section(kind=b"ssh-rsa")), "different types"),
        (build(secret=section(point=bytes(32))), "do not belong together"),
        (build(secret=section(copy=bytes(32))), "do not belong together"),
        (build(secret=section(seed=bytes(24), copy=bytes(8))), "do not belong together"),
        (build(secret=section(padding=bytes(5))), "padding"),
        (build(secret=section(padding=bytes(range(1, 14)))), "padding"),
    ],
)
def test_one_flaw_is_enough(data, why):
    with pytest.raises(Malformed, match=why):
        ed25519_seed(Container.decode(data))


def test_an_authenticated_cipher_has_a_tag_behind_it():
    assert Container.decode(build(cipher=b"aes256-gcm@openssh.com", end=bytes(16))).encrypted


def test_a_whole_block_of_padding_is_padding() -> None:
    """What the `cryptography` library writes behind a secret that is aligned already."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    for _ in range(500):  # whether it is aligned is a matter of leading zeros and sizes
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
        container = Container.decode(unarmour(LABEL, pem))
        container.open()
        if container.secret.endswith(bytes(range(1, 9))):
            return
    raise AssertionError("none was aligned")
