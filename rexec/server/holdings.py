"""What the runner decides by: the allow list, the keys that may come in, and who the server is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rexec import files
from rexec.errors import ConfigError
from rexec.policy.decide import self_test
from rexec.server import disk, provision
from rexec.server.keyring import Keyring

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.policy.rules import Policy
    from rexec.server.config import Settings


class Holdings:
    """One generation of it; a reload replaces all of it or nothing."""

    __slots__ = ("host_hash", "keyring", "policy")

    def __init__(self, policy: Policy, keyring: Keyring, host_hash: bytes) -> None:
        self.policy = policy
        self.keyring = keyring
        self.host_hash = host_hash


def take(settings: Settings, log: Log) -> Holdings:
    """Read everything that settings name. Raises `ConfigError`."""
    policy = disk.load(settings.allow_list)
    if not self_test(policy, secrets.token_hex(16)):
        raise ConfigError("self-test failed: the allow list permits a random command")
    files.ensure_home(settings.home)
    material = provision.host_material(settings, log)
    keys = provision.authorized_keys(settings, log)
    return Holdings(policy, Keyring(keys, provision.user_name(), log), material.spki_hash)
