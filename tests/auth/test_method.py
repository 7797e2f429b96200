"""The table of methods."""

import pytest

from rexec.auth.method import METHODS, BadProof, verify
from tests.auth.samples import public
from tests.auth.test_publickey import BODY, over_tls


def test_publickey_is_the_method_there_is():
    assert list(METHODS) == ["publickey"]
    assert verify("publickey", BODY, over_tls()) == public("ed")


@pytest.mark.parametrize("method", ["", "password", "none", "PUBLICKEY", "publickey "])
def test_no_other_method_proves_anything(method):
    with pytest.raises(BadProof, match="no such method"):
        verify(method, BODY, over_tls())
