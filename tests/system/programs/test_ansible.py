"""Ansible over rexec-ssh, with its profile."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable

import pytest

from tests.system.programs.conftest import BIN, REXEC_SSH, Far

pytestmark = pytest.mark.system
PLAY = """\
- hosts: all
  gather_facts: yes
  tasks:
    - copy: {{src: "{near}/a file", dest: "{tree}/the copy", mode: "0640"}}
    - command: echo "two  words"
      register: said
    - shell: echo $((6 * 7))
      register: sum
    - copy:
        content: "{{{{ ansible_facts.system }}}} {{{{ said.stdout }}}} {{{{ sum.stdout }}}}"
        dest: "{tree}/facts"
"""


def env_of(host: Far, **more: str) -> dict[str, str]:
    return {
        "ANSIBLE_HOME": str(host.near / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(host.near / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(host.tree / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(host.near / "cp"),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_NOCOLOR": "True",
        "LC_ALL": "C.UTF-8",
        **more,
    }


def play(host: Far) -> list[str]:
    (host.near / "a file").write_text("what is copied\n")
    (host.near / "play.yml").write_text(PLAY.format(near=host.near, tree=host.tree))
    settings = {
        "ansible_ssh_executable": REXEC_SSH,
        "ansible_port": host.port,
        "ansible_ssh_transfer_method": "piped",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return ["ansible-playbook", "-i", "127.0.0.1,", "-e", json.dumps(settings), str(host.near / "play.yml")]


@pytest.mark.parametrize("pipelining", ["False", "True"])
def test_a_play_copies_runs_and_gathers(far: Callable[[str], Far], pipelining: str) -> None:
    host = far("%use ansible\n")
    said = host.works(*play(host), env=env_of(host, ANSIBLE_PIPELINING=pipelining)).decode()
    assert re.search(r"ok=5 +changed=4 +unreachable=0 +failed=0", said), said
    assert (host.tree / "the copy").read_text() == "what is copied\n"
    assert (host.tree / "the copy").stat().st_mode & 0o777 == 0o640
    assert (host.tree / "facts").read_text() == "Linux two  words 42"


def test_the_words_of_the_readme_are_enough(far: Callable[[str], Far]) -> None:
    host = far("%use ansible\n")
    env = env_of(
        host,
        ANSIBLE_SSH_EXECUTABLE="rexec-ssh",
        ANSIBLE_SSH_TRANSFER_METHOD="piped",
        PATH=f"{BIN}:{os.environ['PATH']}",
    )
    words = ("-i", "127.0.0.1,", "-m", "ping", "-e", f"ansible_port={host.port}")
    assert b'"ping": "pong"' in host.works("ansible", "all", *words, env=env)


def test_without_the_profile_it_hears_why(far: Callable[[str], Far]) -> None:
    """Ansible shows the exit code alone, and with -vvv what its remote shell said."""
    host = far("echo ...\n")
    said = host.fails(*play(host), env=env_of(host))
    assert "exited with result 126" in said
    said = host.fails(*play(host), "-vvv", env=env_of(host))
    assert 'denied: "/bin/sh -c ' in said
    assert 'no rule of cmds.txt allows "/bin/sh"' in said.replace("\\", "")
