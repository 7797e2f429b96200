"""The servers of the end-to-end tests, for the client's own."""

from __future__ import annotations

from tests.regress.conftest import host, make_host, shared_host

__all__ = ["host", "make_host", "shared_host"]
