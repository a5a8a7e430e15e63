# Generated from book/running/identity.md by make sync. Edit the chapter, not this file.
"""Identity of a run: know which run this is.

Two commands ask for the same run if they ask for the same training on the same
data, however they are written.
"""

__all__ = [
    "PROOF",
    "name_run",
    "digest_source",
    "PACKAGE",
    "CLERKS",
    "read_imports",
    "read_source",
    "digest_bytecode",
    "digest_code",
    "list_differences",
    "check_same",
    "own_folder",
]


# book/running/identity.md, section "Identity of a run: know which run this is"
import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import inspect
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import CodeType
from typing import Any

from smore_lit.running.files import claim_folder, write_atomic


# book/running/identity.md, section "A name from a description"
PROOF = ("code", "versions")  # parts of a description that name no run


def name_run(description: Mapping[str, Any]) -> str:
    """Return the name of a run, 12 hexadecimal digits of its description."""
    asked = {k: v for k, v in description.items() if k not in PROOF}
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# book/running/identity.md, section "A digest of the code"
@cache
def digest_source(source: str) -> str:
    """Digest what a module does: no comments, docstrings or line breaks.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = ast.parse(source)
    documented = ast.Module, ast.ClassDef, ast.FunctionDef
    for node in ast.walk(tree):
        if isinstance(node, (*documented, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


# book/running/identity.md, section "A digest of the code"
PACKAGE = "smore_lit"
CLERKS = "smore_lit.running.files", "smore_lit.running.identity"


@cache
def read_imports(source: str) -> frozenset[str]:
    """Return the names of this package's modules that a source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            home = node.module or ""  # never empty without a level
            names |= {home, *(f"{home}.{alias.name}" for alias in node.names)}
    inside = {name for name in names if name.startswith(f"{PACKAGE}.")}
    return frozenset(name for name in inside if read_source(name) is not None)


def read_source(name: str) -> str | None:
    """Return the source of a module; None where there is none to read."""
    path = getattr(sys.modules.get(name), "__file__", None)
    if name not in sys.modules:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:  # its parent is a module, not a package
            spec = None
        path = spec.origin if spec else None
    if path is None or not path.endswith(".py"):
        return None
    return Path(path).read_text(encoding="utf-8")


# book/running/identity.md, section "A digest of the code"
def digest_bytecode(part: Any) -> str:
    """Digest the functions of a function, a class or an object."""
    if not inspect.isfunction(part) and not isinstance(part, type):
        part = type(part)
    functions = vars(part).values() if isinstance(part, type) else [part]
    codes = [f.__code__ for f in functions if inspect.isfunction(f)]
    text = repr([_spell(code) for code in codes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _spell(code: CodeType) -> tuple:
    parts = [
        _spell(part) if isinstance(part, CodeType) else repr(part)
        for part in code.co_consts
    ]
    return code.co_code, code.co_names, code.co_varnames, parts


def digest_code(
    parts: Mapping[str, Any], modules: Iterable[str]
) -> dict[str, str]:
    """Digest the code that trains something, module by module.

    Args:
        parts: functions, classes and objects that are trained, by name.
        modules: the modules that train them.

    Returns:
        A digest for each of `modules`, each module that defines a part, and
        each of this package that one of them imports, directly or not; none
        for CLERKS.
    """
    found, waiting = {}, set(modules)
    for name, part in parts.items():
        while isinstance(part, partial):
            part = part.func
        part = inspect.unwrap(part)
        home = getattr(part, "__module__", type(part).__module__)
        if read_source(home) is None:
            found[f"{home}.{name}"] = digest_bytecode(part)
        else:
            waiting.add(home)
    while waiting:
        name = waiting.pop()
        source = read_source(name)
        found[name] = digest_source(source)
        waiting |= read_imports(source) - found.keys() - {*CLERKS}
    return dict(sorted(found.items()))


# book/running/identity.md, section "What differs"
def list_differences(
    found: Mapping[str, Any], wanted: Mapping[str, Any], place: str = ""
) -> list[str]:
    """Return a sentence for each value that differs, with its full name."""
    lines = []
    for key in {**wanted, **found}:
        there, here = found.get(key), wanted.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            lines += list_differences(there, here, f"{place}{key}.")
        elif there != here:
            old, new = _shorten(repr(there), repr(here))
            lines.append(f"{place}{key} is {old} there and {new} here")
    return lines


def _shorten(*texts: str) -> list[str]:
    """Cut long texts to 60 letters around the first that differs."""
    same = len(os.path.commonprefix(texts))
    start = max(0, same - 20) if max(map(len, texts)) > 60 else 0
    dots = "..." if start else ""
    return [dots + text[start : start + 60] for text in texts]


def check_same(
    folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Compare the description in a folder with that of a run.

    Raises:
        ValueError: they differ; the message names the fields and values.
    """
    codes = [d.get("code") for d in (found, wanted)]
    old, new = (c if isinstance(c, Mapping) else {} for c in codes)
    changed = [n for n in {**new, **old} if old.get(n) != new.get(n)]
    there, here = (
        {k: d[k] for k in d if k != "code"} for d in (found, wanted)
    )
    lines = list_differences(there, here)
    if changed and found.get("algorithm") == wanted.get("algorithm"):
        more = f" and {len(changed) - 2} more" if changed[2:] else ""
        names = f"{', '.join(changed[:2])}{more}"
        lines.append(f"it was trained by other code of {names}")
    if lines:
        more = f"; and {len(lines) - 3} more" if lines[3:] else ""
        raise ValueError(
            f"{folder} holds another run: {'; '.join(lines[:3])}{more}."
            " Choose another folder or delete it"
        )


# book/running/identity.md, section "One owner at a time"
@contextlib.contextmanager
def own_folder(folder, wait: bool = False) -> Iterator[Path]:
    """Keep other processes out of a folder inside this context.

    Args:
        folder: made if it is not there.
        wait: for another owner to leave; otherwise it is refused.

    Raises:
        ValueError: it is no path, or another process trains in it.
        OSError: it cannot be made or written.
    """
    folder = claim_folder(folder)
    note, handle = folder / ".owner", os.open(folder, os.O_RDONLY)
    try:
        try:
            how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
            fcntl.flock(handle, how)
        except BlockingIOError:
            owner = "another process"
            with contextlib.suppress(OSError):
                owner = note.read_text()
            raise ValueError(
                f"{folder} is in use by {owner:.80}: wait for it, or choose"
                " another folder"
            ) from None
        try:
            write_atomic(note, f"process {os.getpid()} on {platform.node()}")
            yield folder
        finally:
            note.unlink(missing_ok=True)
    finally:
        os.close(handle)
