"""What the benchmark scripts share: where things are, and writing results."""

from pathlib import Path

from smore_lit.running.files import results_folder, write_rows

ROOT = Path(__file__).resolve().parents[1]


def write_results(name: str, rows: list[dict]) -> None:
    """Write `rows`, all with the keys of the first, to results/NAME.csv."""
    write_rows(results_folder() / f"{name}.csv", rows)
