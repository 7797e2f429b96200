"""Detached commands: each has a warden of its own, and a directory that every server can read."""
