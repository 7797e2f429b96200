"""How a server proves who it is: TLS with a certificate of its own, no tickets, no authorities."""

from __future__ import annotations

import os
import ssl

from rexec.errors import ConfigError
from rexec.transport.secure import restricted


def server_context(certificate: bytes, key: bytes, name: str) -> ssl.SSLContext:
    """Return a context that serves a certificate; both in PEM, `name` for errors."""
    context: ssl.SSLContext = restricted(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.num_tickets = 0
    # The ssl module loads keys from files alone; a memory file leaves none on the disk.
    descriptor = os.memfd_create("rexec-host-key", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(key.rstrip(b"\n") + b"\n" + certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError as error:
        raise ConfigError(f"{name}: not a certificate and its key: {error.reason or error}") from None
    finally:
        os.close(descriptor)
    return context
