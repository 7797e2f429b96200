"""Sockets and TLS: bytes to and from the wire."""
