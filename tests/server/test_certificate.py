"""The certificate around a host key: TLS wants one, clients look only at its key."""

from __future__ import annotations

import pytest
from cryptography import x509

from rexec.auth.der import spki_of
from rexec.auth.private import generate
from rexec.errors import ConfigError
from rexec.server.certificate import pem_to_der, self_signed


def test_a_certificate_holds_the_key_and_nothing_to_expire() -> None:
    key = generate()
    pem = self_signed(key)
    assert spki_of(pem_to_der(pem, "x")) == key.public.spki()
    made = x509.load_pem_x509_certificate(pem)
    assert made.not_valid_after_utc.year == 9999
    assert made.subject == made.issuer


def test_the_first_of_a_chain_is_the_servers_own() -> None:
    first, second = self_signed(generate()), self_signed(generate())
    assert pem_to_der(b"text before\n" + first + second, "x") == pem_to_der(first, "x")


@pytest.mark.parametrize(
    "pem",
    [b"", b"-----BEGIN CERTIFICATE-----\nAAAA", b"-----END CERTIFICATE-----",
     b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"],
)  # fmt: skip
def test_what_holds_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^here\.pem: no certificate in PEM$"):
        pem_to_der(pem, "here.pem")
