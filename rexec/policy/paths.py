"""Paths as spelled: no link is followed here, so whoever starts a program looks again."""

from __future__ import annotations


def is_canonical(path: str) -> bool:
    """Tell whether an absolute path has one spelling only: no ``//``, ``.``, ``..`` or slash at the end."""
    if path == "/":
        return True
    return path.startswith("/") and not any(part in ("", ".", "..") for part in path[1:].split("/"))


def joined(base: str, path: str) -> str | None:
    """Spell `path`, seen from `base`, canonically; None where it is empty or climbs by ``..``."""
    if not path:
        return None
    parts = f"{base}/{path}".split("/") if not path.startswith("/") else path.split("/")
    if ".." in parts:
        return None
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def is_beneath(root: str, path: str) -> bool:
    """Tell whether a canonical path is `root` or lies under it."""
    return root == "/" or path == root or path.startswith(root + "/")
