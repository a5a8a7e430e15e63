# Generated from book/running/files.md by make sync. Edit the chapter, not this file.
"""Files: write files that are whole or absent.

A run that is killed while it writes leaves the old file or the new one, never
half of one.
"""

__all__ = [
    "as_path",
    "claim_folder",
    "PART",
    "write_atomic",
    "sweep",
    "Table",
    "read_table",
    "count_updates",
    "write_rows",
    "package_folder",
    "results_folder",
    "read_chapters",
    "as_plain",
    "as_whole",
    "as_number",
    "is_number",
    "check_ranges",
    "LARGEST_JSON",
    "fits",
    "check_shape",
    "read_json",
]


# book/running/files.md, section "Files: write files that are whole or absent"
import csv
import importlib.resources
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


# book/running/files.md, section "Paths as a shell reads them"
def as_path(path) -> Path:
    """Return `path` as a shell would read it, with ~ and $NAME filled in.

    Args:
        path: text, bytes or any `os.PathLike`; a $NAME that is not set
            stays as it is.

    Raises:
        ValueError: it is no path, or empty.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        reason = f"a path must be text or a Path, got {path!r:.80}"
        raise ValueError(reason) from None
    if not text:
        raise ValueError("a path must not be empty")
    return Path(os.path.expandvars(os.path.expanduser(text)))


# book/running/files.md, section "Paths as a shell reads them"
def claim_folder(folder) -> Path:
    """Make a folder and its parents, and prove that it can be written.

    Raises:
        ValueError: it is no path.
        OSError: something else stands there, or it cannot be written; the
            error names the folder.
    """
    folder = as_path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        error.filename = str(folder)
        raise
    return folder


# book/running/files.md, section "Replace, never overwrite"
PART = ".part"  # how the names of temporary files end


def write_atomic(path: Path | str, content: bytes | str) -> None:
    """Write `content` to `path` so that no reader ever sees a part of it.

    The bytes go to a temporary file in the same folder, reach the disk, and
    are renamed; on any failure the temporary file is removed and the old file
    stands untouched.

    Raises:
        OSError: the folder cannot be written or the disk is full; the error
            names `path`.
    """
    path = as_path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)
        else:
            _replace(path.resolve(), data)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=PART
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# book/running/files.md, section "Replace, never overwrite"
def sweep(folder: Path | str) -> None:
    """Remove the temporary files of writers that were killed in `folder`."""
    for path in Path(folder).glob(f".*{PART}"):
        path.unlink(missing_ok=True)


# book/running/files.md, section "Tables that can be cut back"
class Table:
    """Append rows to a CSV file that counts updates in one of its columns.

    Args:
        path: the file; created with its header when absent.
        columns: names of the columns; one of them is "updates".
        keep: when the file exists, keep its rows of at most this many
            updates, and drop whatever a killed run wrote after them.

    Raises:
        ValueError: the file exists with other columns, or is damaged.
    """

    def __init__(
        self, path: Path | str, columns: Iterable[str], keep: int = 0
    ):
        self.path, self.columns = Path(path), list(columns)
        found, rows = None, []
        if self.path.exists():
            found = self.path.read_bytes()
            rows = read_table(self.path)
        if rows and list(rows[0]) != self.columns:
            raise ValueError(f"{path} has other columns: move it away")
        rows = [row for row in rows if count_updates(row, path) <= keep]
        text = ",".join(self.columns) + "\n" + self._format(rows)
        if text.encode() != found:
            write_atomic(self.path, text)

    def append(self, rows: Iterable[dict]) -> None:
        """Add rows, in one write that reaches the disk."""
        with self.path.open("a", newline="") as file:
            file.write(self._format(rows))
            file.flush()
            os.fsync(file.fileno())

    def _format(self, rows: Iterable[dict]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns, lineterminator="\n").writerows(rows)
        return text.getvalue()


# book/running/files.md, section "Tables that can be cut back"
def read_table(path: Path | str) -> list[dict[str, str]]:
    """Read the whole rows of a CSV file; a last row cut short is left out.

    Raises:
        ValueError: no text, or a row with too few or too many cells.
    """
    try:
        text = Path(path).read_bytes().decode()
        whole = text[: text.rfind("\n") + 1]
        rows = list(csv.DictReader(io.StringIO(whole)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it") from None
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path} has a broken row: restore or delete it")
    return rows


def count_updates(row: dict[str, str], path: Path | str) -> int:
    """Return how many updates a row of a table counts, as an integer."""
    try:
        return int(row["updates"])
    except (KeyError, ValueError):
        reason = f"{path} does not count updates: move it away"
        raise ValueError(reason) from None


# book/running/files.md, section "Tables that can be cut back"
def write_rows(path: Path | str, rows: list[dict]) -> None:
    """Write `rows`, all with the same keys, as a CSV file, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue())


# book/running/files.md, section "Files that travel with the package"
def package_folder() -> Path:
    """Return the folder that the package is imported from."""
    return Path(str(importlib.resources.files("smore_lit")))


def results_folder() -> Path:
    """Return the folder of committed results inside the package."""
    return package_folder() / "results"


def read_chapters() -> dict[str, str]:
    """Return the book's sources by path; none without a checkout.

    The paths are those below the checkout, such as "book/intro.md".
    """
    checkout = package_folder().parent
    if not (checkout / "_toc.yml").is_file():
        return {}
    return {
        path.relative_to(checkout).as_posix(): path.read_text("utf-8")
        for path in sorted((checkout / "book").rglob("*.md"))
    }


# book/running/files.md, section "Numbers as a loop gives them"
def as_plain(value: Any) -> Any:
    """Return numbers of NumPy and torch as Python's own; others as they are.

    Arrays, and what lists and tuples hold, are taken apart into lists and
    tuples of numbers.
    """
    if isinstance(value, list | tuple):
        return type(value)(map(as_plain, value))
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if not hasattr(value, "tolist"):
        return value
    if value.ndim:
        return [as_plain(item) for item in value]
    value = value[()]
    short = value.dtype.kind == "f" and value.dtype.itemsize < 8
    return float(str(value)) if short else value.item()


# book/running/files.md, section "Numbers as a loop gives them"
def as_whole(name: str, value: Any, least: int | None = 0) -> int:
    """Return `value` as an integer of Python.

    Args:
        name: what to call it in the error.
        value: a whole number of Python, NumPy or torch, also as a float.
        least: the smallest that is allowed; None: any.

    Raises:
        ValueError: it is no such number.
    """
    found = as_plain(value)
    if type(found) is float and found.is_integer():
        found = int(found)
    if type(found) is not int or (least is not None and found < least):
        due = "a whole number"
        due += "" if least is None else f", {least} or more"
        raise ValueError(f"{name} must be {due}, got {value!r:.80}")
    return found


def as_number(name: str, value: Any) -> float:
    """Return `value` as a finite float of Python; see `as_whole`.

    Raises:
        ValueError: it is no number, NaN or infinite.
    """
    found = as_plain(value)
    if not is_number(found):
        reason = f"{name} must be a finite number, got {value!r:.80}"
        raise ValueError(reason)
    return float(found)


def is_number(value: Any) -> bool:
    """Return whether `value` is a finite number of Python, no bool."""
    largest = sys.float_info.max
    return type(value) in (int, float) and abs(value) <= largest


def check_ranges(held: Any, ranges: Mapping[str, tuple[Any, str]]) -> None:
    """Raise ValueError for the first field that is out of its range.

    Args:
        held: has the fields.
        ranges: for each name, whether its value fits, and what would.
    """
    for name, (good, due) in ranges.items():
        if not good:
            value = getattr(held, name)
            raise ValueError(f"{name} must be {due}, got {value}")


# book/running/files.md, section "Read what may have been damaged"
LARGEST_JSON = 2**20  # bytes


def fits(value: Any, shape: Any) -> bool:
    """Return whether `value` is of the kind of `shape`, without its parts."""
    if shape is object:
        return True
    if shape is float:
        return is_number(value)
    if shape is str:
        return type(value) is str and value.isprintable()
    return type(value) is (shape if isinstance(shape, type) else type(shape))


def check_shape(value: Any, shape: Any, place: str = "") -> None:
    """Raise ValueError unless `value`, read from JSON, has `shape`.

    Args:
        value: what was read.
        shape: a type, where float stands for any finite number and object
            for anything; None; a tuple of shapes one of which must fit; a
            list with the shape of all items; or a dictionary of shapes by
            key, with `...` for keys that it does not name. Keys without a
            shape are not looked at.
        place: where `value` was found.
    """
    shapes = shape if isinstance(shape, tuple) else (shape,)
    shape = next((each for each in shapes if fits(value, each)), ...)
    if shape is ...:
        raise ValueError(f"{place or 'it'} cannot be {value!r:.40}")
    if isinstance(shape, list):
        for index, item in enumerate(value):
            check_shape(item, shape[0], f"{place}[{index}]")
    if isinstance(shape, dict):
        lacking = [k for k in shape if k is not ... and k not in value]
        if lacking:
            raise ValueError(f"{place or 'it'} lacks {lacking[0]}")
        for key in value if ... in shape else shape:
            inner = shape.get(key, shape.get(...))
            check_shape(value[key], inner, f"{place}.{key:.40}".lstrip("."))


# book/running/files.md, section "Read what may have been damaged"
def read_json(path: Path | str, shape: Any, cure: str) -> Any:
    """Read a JSON file whose contents have `shape`.

    Args:
        path: the file, of at most a megabyte.
        shape: see `check_shape`.
        cure: what to do if it is damaged, such as "delete it".

    Raises:
        ValueError: one line that names the file, the place and the cure.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(LARGEST_JSON + 1)
    try:
        if len(data) > LARGEST_JSON:
            raise ValueError("it is too large")
        value = json.loads(data)
        check_shape(value, shape)
    except RecursionError:
        raise ValueError(f"{path} is damaged: {cure} (nested)") from None
    except ValueError as error:
        text = str(error).encode("ascii", "backslashreplace").decode()
        reason = " ".join(text.split())
        raise ValueError(f"{path} is damaged: {cure} ({reason})") from None
    return value
