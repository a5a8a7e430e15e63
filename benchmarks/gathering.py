"""What the benchmark scripts share: where things are, and writing results."""

import csv
import io
from pathlib import Path

from smore_lit.learning.files import write_atomic

ROOT = Path(__file__).resolve().parents[1]


def write_results(name: str, rows: list[dict]) -> None:
    """Write `rows`, all with the keys of the first, to results/NAME.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(ROOT / "results" / f"{name}.csv", text.getvalue())
