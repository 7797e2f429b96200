"""What each module of the package may touch: the rules that `test_floors` holds the code to.

The rules work on source text and know nothing of the tree, so that they can be tried on flawed
samples. `docs/explanation/architecture.md` tells the same for people.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module

API = "__init__"  # rexec/__init__.py, the Python API

FLOORS = {
    "choice": 0,
    "errors": 0,
    "limits": 0,
    "text": 0,
    "protocol": 1,
    "auth": 1,
    "policy": 1,
    "transport": 2,
    "process": 2,
    "audit": 2,
    "copying": 2,
    "files": 2,
    "server": 3,
    "client": 3,
    "cli": 4,
    API: 4,
}
QUIET = 1

# A quiet room touches no device, clock, thread or chance. Modules that are mostly pure stand in PURE.
DEVICES = frozenset(
    [
        *("_socket", "_ssl", "asyncio", "http", "select", "selectors", "smtplib", "socket", "socketserver"),
        *("ssl", "urllib", "ftplib", "imaplib", "poplib", "xmlrpc", "webbrowser"),
        *("_io", "dbm", "fileinput", "glob", "linecache", "mmap", "os", "pathlib", "posix", "shelve"),
        *("shutil", "sqlite3", "tempfile", "fcntl", "grp", "pwd", "getpass"),
        *("_posixsubprocess", "ctypes", "multiprocessing", "pty", "resource", "signal", "subprocess"),
        *("readline", "termios", "tty"),
        *("_thread", "concurrent", "queue", "sched", "threading"),
        *("random", "secrets", "uuid"),
        *("logging", "syslog", "warnings"),
        *("builtins", "gc", "importlib", "inspect", "platform", "runpy", "site"),
    ]
)
# functions of time that are pure once they are given so many arguments; with fewer they read the clock
CLOCK_GIVEN = {"gmtime": 1, "localtime": 1, "strftime": 2, "ctime": 1, "asctime": 1}
PURE = {
    # mktime and localtime read the rules of the zone, which are data, and no clock
    "time": frozenset({"mktime", "strptime", "struct_time", *CLOCK_GIVEN}),
    # what works on the text alone; realpath and exists ask the disk, abspath the working directory
    "posixpath": frozenset(
        {"basename", "commonpath", "dirname", "isabs", "join", "normpath", "sep", "split", "splitext"}
    ),
    "io": frozenset({"BytesIO", "StringIO"}),  # memory
    "sys": frozenset({"byteorder", "intern", "maxsize"}),  # facts
}
IMPURE_NAMES = frozenset({"open", "input", "print", "breakpoint", "exec", "eval", "__import__"})
WRITES_CODE = {"rexec.protocol.codec": "exec"}  # of the names of our own fields; see decision 0001
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})  # of datetime and date: a clock
LAZY = {"auth": "cryptography"}  # allowed inside a function, where the path that needs it pays for it

FORBIDDEN_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})
LINES_MAX = 400  # past this, look for the seam

Import = tuple[str, int, bool]  # dotted name, line, inside a function


def room_of(module: str) -> str | None:
    """Return the room of ``rexec.room.name``, or None for a module that has none."""
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else API
    return room if parts[0] == "rexec" and room in FLOORS else None


def is_for_types(node: ast.AST) -> bool:
    """Say whether `node` is an ``if TYPE_CHECKING:``."""
    if not isinstance(node, ast.If):
        return False
    test = node.test
    return getattr(test, "id", None) == "TYPE_CHECKING" or getattr(test, "attr", None) == "TYPE_CHECKING"


def running(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Walk what exists at run time, each node with whether it stands inside a function."""
    yield node, inside
    if isinstance(node, ast.If) and is_for_types(node):
        children: Iterator[ast.AST] = iter(node.orelse)
    else:
        children = ast.iter_child_nodes(node)
    inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in children:
        yield from running(child, inside)


def imports(tree: ast.AST, package: str) -> Iterator[Import]:
    """Yield every run-time import; relative ones are resolved against `package`."""
    for node, inside in running(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, inside
        elif isinstance(node, ast.ImportFrom):
            for name in _sources(node, package):
                yield name, node.lineno, inside
        elif isinstance(node, ast.Call) and (given := _dynamic(node)):
            yield given, node.lineno, inside


def _sources(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
    for alias in node.names:
        if (base, alias.name) == ("rexec", "__version__"):
            continue  # a fact of the package, which stands above all that its root may ever import
        # ``from rexec import errors`` names a module; ``from rexec.errors import X`` does not
        yield f"{base}.{alias.name}" if base == "rexec" and alias.name in FLOORS else base


def _dynamic(node: ast.Call) -> str | None:
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if called not in ("import_module", "__import__") or not node.args:
        return None
    name = node.args[0]
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


def wrong_imports(source: str, module: str, package: str) -> Iterator[str]:
    """Yield a line for each import of ours that goes up or sideways."""
    room = room_of(module)
    if room is None:
        yield f"{module} is in no room: give it a floor"
        return
    for name, line, _ in imports(ast.parse(source), package):
        if name.split(".")[0] != "rexec":
            continue
        target = room_of(name)
        if target is None or (target != room and FLOORS[target] >= FLOORS[room]):
            yield f"{module}:{line}: {room} (floor {FLOORS[room]}) may not import {name}"


def noise(source: str, module: str) -> Iterator[str]:
    """Yield a line for whatever a quiet room does that is not quiet."""
    tree = ast.parse(source)
    for name, line, inside in imports(tree, module):
        if reason := _loud_import(name.split(".")[0], room_of(module) or "", inside):
            yield f"{module}:{line}: {reason}"
    for node, _ in running(tree):
        if _is_call_of(node, WRITES_CODE.get(module)):
            continue
        if reason := _loud_from(node) or _loud_use(node):
            yield f"{module}:{getattr(node, 'lineno', 0)}: {reason}"


def _is_call_of(node: ast.AST, name: str | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _loud_import(top: str, room: str, inside: bool) -> str | None:
    if top in DEVICES:
        return f"a quiet room does not import {top}"
    if top == "rexec" or top in sys.stdlib_module_names:
        return None
    if LAZY.get(room) != top:
        return f"{room} does not import {top}"
    return None if inside else f"{top} is imported inside the function that needs it"


def _loud_from(node: ast.AST) -> str | None:
    if not isinstance(node, ast.ImportFrom) or node.module not in PURE:
        return None
    wrong = sorted({alias.name for alias in node.names} - PURE[node.module])
    return f"{node.module}.{', '.join(wrong)} is not pure" if wrong else None


def _loud_use(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PURE:
        name = f"{node.value.id}.{node.attr}"
        return None if node.attr in PURE[node.value.id] else f"{name} is not pure"
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name) and node.func.id in IMPURE_NAMES:
        return f"a quiet room does not call {node.func.id}()"
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if called in IMPURE_METHODS and isinstance(node.func, ast.Attribute):
        return f"{called}() reads a clock"
    needed = CLOCK_GIVEN.get(called, 0)
    if len(node.args) < needed and _is_of_time(node.func):
        return f"{called}() reads the clock when its time is left out"
    return None


def _is_of_time(function: ast.expr) -> bool:
    """Say whether a call is of the module, not of a datetime's own `strftime` or `ctime`."""
    if isinstance(function, ast.Name):
        return True
    return isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "time"


def missing(source: str) -> Iterator[str]:
    """Yield a line for what a module under a documented one, taken in its place, does not have.

    Type checkers are shown `os`, and what runs is `posix`: docs/decisions/0012.
    """
    tree = ast.parse(source)
    places = {
        alias.asname: alias.name
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and is_for_types(block)
        for node in block.orelse
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in places:
            place = places[node.value.id]
            if not hasattr(import_module(place), node.attr):
                yield f"{node.lineno}: {place} has no {node.attr}"


def permits(source: str) -> Iterator[int]:
    """Yield the line of each place that makes a `Permit`, or hides that it does."""
    for node, _ in running(ast.parse(source)):
        if _makes_permit(node):
            yield getattr(node, "lineno", 0)


def _makes_permit(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="replace") | ast.Attribute(attr="replace" | "_replace"), args=args):
            return any(_is_a_permit(value) for value in args[:1])  # a copy with other words in it
        case ast.Call(func=made) | ast.Attribute(value=made) | ast.Assign(value=made):
            return _is_permit(made)  # Permit(), Permit.__new__, Mine = Permit
        case ast.ClassDef(bases=bases):
            return any(map(_is_permit, bases))
        case ast.alias(name="Permit", asname=str()):
            return True
    return False


def _is_permit(node: ast.expr) -> bool:
    return getattr(node, "id", None) == "Permit" or getattr(node, "attr", None) == "Permit"


def _is_a_permit(node: ast.expr) -> bool:
    return str(getattr(node, "id", getattr(node, "attr", ""))).lstrip("_") == "permit"
