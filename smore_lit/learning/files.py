# Generated from book/learning/files.md by make sync. Edit the chapter, not this file.
"""Write files that are whole or absent.

A run that is killed while it writes must leave the old file or the new one,
never half of one.
"""

__all__ = ["write_atomic", "Table", "read_table"]


# book/learning/files.md, section "Write files that are whole or absent"
import csv
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


# book/learning/files.md, section "Replace, never overwrite"
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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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


# book/learning/files.md, section "Tables that can be cut back"
class Table:
    """Append rows to a CSV file whose first column counts updates.

    Args:
        path: the file; created with its header when absent.
        columns: names of the columns; one of them is "updates".
        keep: when the file exists, keep its rows of at most this many
            updates, and drop whatever a killed run wrote after them.

    Raises:
        ValueError: the file exists with other columns.
    """

    def __init__(self, path: Path | str, columns: Iterable[str], keep: int = 0):
        self.path, self.columns = Path(path), list(columns)
        rows = []
        if self.path.exists():
            rows = [r for r in read_table(self.path) if int(r["updates"]) <= keep]
            if rows and list(rows[0]) != self.columns:
                raise ValueError(f"{path} has other columns: choose another folder")
        write_atomic(self.path, self._format(rows, header=True))

    def append(self, rows: Iterable[dict]) -> None:
        """Add rows, in one write."""
        with self.path.open("a", newline="") as file:
            file.write(self._format(rows))

    def _format(self, rows: Iterable[dict], header: bool = False) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def read_table(path: Path | str) -> list[dict[str, str]]:
    """Read the whole rows of a CSV file; a last row cut short is left out.

    Raises:
        ValueError: a row before the last has too few or too many cells.
    """
    text = Path(path).read_text()
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.DictReader(io.StringIO(whole)))
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path} has a broken row: delete the file or restore it")
    return rows
