"""What the runner decides by: the allow list, the keys that may come in, and who the server is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rexec import files
from rexec.auth.private import parse_private
from rexec.errors import ConfigError
from rexec.policy.decide import self_test
from rexec.server import disk, provision
from rexec.server.keyring import Keyring
from rexec.server.orders import Offer

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.auth.private import PrivateKey
    from rexec.policy.rules import Policy
    from rexec.server.config import Settings
    from rexec.server.provision import Material


class Holdings:
    """One generation of it; a reload replaces all of it or nothing."""

    __slots__ = (
        "_material",
        "_times",
        "crowds",
        "home",
        "host_hash",
        "keep_jobs",
        "keyring",
        "policy",
        "terse",
    )

    def __init__(self, policy: Policy, keyring: Keyring, material: Material, settings: Settings) -> None:
        self.policy = policy
        self.keyring = keyring
        self.host_hash = material.spki_hash
        self._material = material
        self.terse = settings.terse_denials  # a denial tells the client nothing more
        times = {
            "drain": settings.drain,
            "grace": settings.grace,
            "keepalive": settings.keepalive,
            "reset": settings.resume_reset,
            "silence": settings.resume_for,
        }
        self._times = {f"{name}_ms": int(time * 1000) for name, time in times.items()}
        self.crowds = settings.crowds
        self.home = settings.home
        self.keep_jobs = settings.keep_jobs

    def host_key(self) -> PrivateKey:
        """Return the key that signs for this server: the one that clients know it by."""
        return self._material.key or parse_private(self._material.key_pem, None, self._material.name)

    def offer(self) -> Offer:
        """Return what the listener serves with."""
        material = self._material
        key = material.key_pem or self.host_key().pkcs8_pem()
        return Offer(
            material.name,
            material.certificate,
            key,
            **self._times,
            strangers=self.crowds.strangers,
            per_source=self.crowds.strangers_per_source,
            exempt=" ".join(self.crowds.penalty_exempt),
        )


def take(settings: Settings, log: Log) -> Holdings:
    """Read everything that settings name. Raises `ConfigError`."""
    policy = disk.load(settings.allow_list)
    if not self_test(policy, secrets.token_hex(16)):
        raise ConfigError("self-test failed: the allow list permits a random command")
    files.ensure_home(settings.home)
    material = provision.host_material(settings, log)
    keys = provision.authorized_keys(settings, log)
    return Holdings(policy, Keyring(keys, provision.user_name(), log), material, settings)
