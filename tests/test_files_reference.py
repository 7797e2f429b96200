"""docs/reference/files.md says what the code reads: keys of `config.toml`, options of `authorized_keys`."""

from __future__ import annotations

import re

from rexec.auth.options import TABLE
from rexec.client import tables as known
from rexec.client.config import Wishes, resolve
from rexec.client.tables import parse_config
from tests.test_reference import tables
from tests.tree import ROOT, text_of

PAGE = text_of(ROOT / "docs" / "reference" / "files.md")
FILES, KEYS, OPTIONS = tables(PAGE)


def test_every_key_is_on_the_page() -> None:
    told = {row[0].strip("[]"): re.findall("[a-z_]+", row[2]) for row in KEYS[1:]}
    wanted = {"client": known._CLIENT, "hosts.NAME": known._HOST, "server": known._SERVER}
    assert told == {name: list(table) for name, table in wanted.items()}


def test_every_option_is_on_the_page() -> None:
    told = [re.sub("=.*", "", name).strip() for row in OPTIONS[1:] for name in row[0].split("`, `")]
    assert sorted(map(str.lower, told)) == sorted(TABLE)


def test_the_example_is_read() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)
    config = parse_config(text, "config.toml")
    web, build = (resolve(name, Wishes("/nowhere"), config) for name in ("web1", "build"))
    assert (str(web.address), web.user, web.connect_timeout) == ("web1.example.org:6022", "alice", 5.0)
    assert (build.address.path, build.env) == ("/run/rexec.sock", ("LANG", "CI=1"))
