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
    whole = path if path.startswith("/") else f"{base}/{path}"
    if whole[0] == "/" != whole[-1] and "/." not in whole and "//" not in whole:
        return whole  # as it is: nothing can be left out
    parts = whole.split("/")
    if ".." in parts:
        return None
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def is_beneath(root: str, path: str) -> bool:
    """Tell whether a canonical path is `root` or lies under it."""
    return root == "/" or path == root or path.startswith(root + "/")


def is_glob(text: str) -> bool:
    """Tell whether `text` is a canonical path in which ``*`` is a component, and a last ``**`` a subtree."""
    *before, last = text.split("/")
    return (
        is_canonical(text)
        and all(part == "*" or "*" not in part for part in before)
        and (last in ("*", "**") or "*" not in last)
    )


def matches(glob: str, path: str) -> bool:
    """Tell whether a canonical path is what `glob` says; ``ROOT/**`` is ROOT and all beneath it."""
    wanted, found = glob.split("/"), path.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        found = found[: len(wanted)]
    return wanted == found or (len(wanted) == len(found) and all(map(_is_part, wanted, found)))


def _is_part(wanted: str, found: str) -> bool:
    return wanted == found or (wanted == "*" and found != "")


def root_of(glob: str) -> str:
    """Give the part of a glob that is no wildcard: all that it matches lies beneath."""
    return glob.partition("/*")[0] or "/"
