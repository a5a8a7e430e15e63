# Generated from book/learning/files.md by make sync. Edit the chapter, not this file.
"""Write files that are whole or absent.

A run that is killed while it writes must leave the old file or the new one,
never half of one.
"""

__all__ = [
    "PART",
    "write_atomic",
    "sweep",
    "Table",
    "read_table",
    "count_updates",
    "package_folder",
    "results_folder",
    "read_chapters",
]


# book/learning/files.md, section "Write files that are whole or absent"
import csv
import importlib.resources
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


# book/learning/files.md, section "Replace, never overwrite"
PART = ".part"  # how the names of temporary files end


def write_atomic(path: Path | str, content: bytes | str) -> None:
    """Write `content` to `path` so that no reader ever sees a part of it.

    The bytes go to a temporary file in the same folder, reach the disk, and
    are renamed; on any failure the temporary file is removed and the old file
    stands untouched.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
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


# book/learning/files.md, section "Replace, never overwrite"
def sweep(folder: Path | str) -> None:
    """Remove the temporary files of writers that were killed in `folder`."""
    for path in Path(folder).glob(f".*{PART}"):
        path.unlink(missing_ok=True)


# book/learning/files.md, section "Tables that can be cut back"
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


# book/learning/files.md, section "Tables that can be cut back"
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


# book/learning/files.md, section "Files that travel with the package"
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
