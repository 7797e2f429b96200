"""A receipt is believed only if the server that we know signed what we saw."""

from __future__ import annotations

import pytest

from rexec.audit import receipt
from rexec.auth.private import generate
from rexec.client.command import Command
from rexec.client.receipt import check, vouched
from rexec.client.result import Result
from rexec.client.streams import MemorySink
from rexec.errors import TrustError
from rexec.protocol.frames import Cause, Exit

KEY = generate("host")
WORDS = (b"ls",)
END = Exit(Cause.SIGNALLED, 0, "KILL", stdout=7, stderr=1)


def made(**more: object) -> bytes:
    said: dict[str, object] = {"cause": "signalled", "exit": None, "signal": "KILL", "stdout": 7, "stderr": 1}
    said |= {"decision": 1, "head": {"seq": 1, "hash": "a"}, **more}
    return receipt.make(KEY, receipt.words_hash(WORDS), ["ls"], **said)


def test_a_true_receipt_is_given_back_as_it_came() -> None:
    assert check(made(), KEY.public, WORDS, END) == made()


@pytest.mark.parametrize(
    "flaw",
    [{"cause": "exited"}, {"exit": 0}, {"signal": ""}, {"stdout": 8}, {"stderr": None}, {"stdout": "7"}],
)
def test_what_says_otherwise_is_not_believed(flaw: dict[str, object]) -> None:
    with pytest.raises(TrustError, match="the receipt says otherwise"):
        check(made(**flaw), KEY.public, WORDS, END)


def test_other_words_are_not_ours() -> None:
    with pytest.raises(TrustError, match="argv_sha256"):
        check(made(), KEY.public, (b"l", b"s"), END)


def test_another_key_is_not_the_servers() -> None:
    with pytest.raises(TrustError, match="signed by another key"):
        check(made(), generate("other").public, WORDS, END)


@pytest.mark.parametrize("data", [None, b"", b"{}\n"])
def test_nothing_is_no_receipt(data: bytes | None) -> None:
    with pytest.raises(TrustError):
        check(data, KEY.public, WORDS, END)


@pytest.mark.parametrize("paper", [None, b"", made(stdout=1)])
def test_without_a_receipt_that_holds_a_command_counts_as_lost(paper: bytes | None) -> None:
    command = Command(1, None, MemorySink(), MemorySink())
    command.last, command.receipt = END, paper
    result = vouched(Result("ok", 0), command, KEY.public, WORDS)
    assert (result.state, result.exit_code, result.receipt) == ("lost", 255, None)
