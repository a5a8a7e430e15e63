# Generated from book/running/results.md by make sync. Edit the chapter, not this file.
"""Results store: keep every number in one place.

What a run scored is written once, under the name of the run, and read by one
function.
"""

__all__ = [
    "TABLES",
    "TEXT",
    "JSON",
    "KEYS",
    "SHAPES",
    "parse_cell",
    "read_results",
    "CURE",
    "check_columns",
    "check_rows",
    "read_store",
    "select",
    "ASKED",
    "FOUND",
    "describe_finished",
    "add_run",
    "format_rows",
]


# book/running/results.md, section "Results store: keep every number in one place"
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from smore_lit.running.evaluation import METRICS
from smore_lit.running.files import (
    as_path,
    check_shape,
    read_json,
    read_table,
    results_folder,
    write_atomic,
)
from smore_lit.running.identity import name_run, own_folder


# book/running/results.md, section "Four tables"
TABLES = {
    "runs": (
        "run",
        "task",
        "algorithm",
        "config",
        "plan",
        "data",
        "code",
        "versions",
        "hardware",
        "seconds",
        "updates_per_second",
        "gflop_per_update",
    ),
    "scores": ("run", "seed", "updates", *METRICS, "episodes"),
    "metrics": ("run", "seed", "updates"),
    "studies": ("study", "task", "label", "run", "updates"),
}
TEXT = {
    *("run", "task", "algorithm", "data", "code", "versions", "hardware"),
    *("study", "label"),
}
JSON = {"config", "plan"}


# book/running/results.md, section "Four tables"
KEYS = {
    "runs": ("run",),
    "scores": ("run", "seed", "updates"),
    "metrics": ("run", "seed", "updates"),
    "studies": ("study", "task", "label"),
}
SHAPES: dict[str, dict] = {
    "runs": {
        "run": str,
        "config": {},
        "plan": {"seeds": [int], "updates": int},
    },
    "scores": dict.fromkeys((*METRICS, "episodes"), float)
    | {"run": str, "seed": int, "updates": int},
    "metrics": {"run": str, "seed": int, "updates": int},
    "studies": {"study": str, "label": str, "run": str}
    | {"updates": (int, None)},
}


# book/running/results.md, section "Read"
def parse_cell(column: str, text: str) -> Any:
    """Return a cell as a number, a dictionary, text, or None if empty."""
    if not text:
        return None
    if column in JSON:
        return json.loads(text)
    if column not in TEXT:
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                pass
    return text


def read_results(name: str, folder: Path | str | None = None) -> list[dict]:
    """Read a table of results, such as "strikes" or "paper_tables".

    Args:
        name: of the table, without .csv.
        folder: where it lies; None: inside the package.

    Raises:
        ValueError: there is no such table, or it is damaged.
    """
    folder = results_folder() if folder is None else as_path(folder)
    path = folder / f"{name}.csv"
    if not path.exists():
        known = sorted(each.stem for each in folder.glob("*.csv"))
        reason = f"no results {name!r}; known: {', '.join(known) or 'none'}"
        if name in TABLES and TABLES.keys() & known:
            reason += f": restore {path} from version control"
        raise ValueError(reason)
    if name in TABLES:
        return check_rows(path, name, read_table(path))
    return [
        {column: parse_cell(column, text) for column, text in row.items()}
        for row in read_table(path)
    ]


# book/running/results.md, section "Read"
CURE = "restore the file from version control, or delete the line"


def check_columns(path: Path, table: str, rows: list[dict]) -> None:
    """Raise ValueError if rows of a file lack a column that may not be empty.

    The updates of a study may: an empty cell stands for the whole run.
    """
    needed = (c for c in TABLES[table] if (table, c) != ("studies", "updates"))
    lacking = [c for c in needed if rows and c not in rows[0]]
    if lacking:
        reason = f"{path} has no column {lacking[0]!r}: restore the file"
        reason += " from version control"
        if next(iter(rows[0])).startswith("\ufeff"):
            reason += ", or save it without a byte order mark"
        raise ValueError(reason)


def check_rows(path: Path, table: str, rows: list[dict]) -> list[dict]:
    """Return the rows of a table as values, equal ones once.

    Raises:
        ValueError: a cell that cannot be, or two rows that contradict each
            other.
    """
    check_columns(path, table, rows)
    found: dict[tuple, tuple[dict, dict]] = {}
    for line, row in enumerate(rows, 2):
        place = f"{path}, line {line}"
        try:
            new = dict.fromkeys(TABLES[table])
            new |= {name: parse_cell(name, text) for name, text in row.items()}
            check_shape(new, SHAPES[table])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: {error}: {CURE}") from None
        key = tuple(new[name] for name in KEYS[table])
        old = found.setdefault(key, (row, new))
        if row != old[0] and new != old[1]:
            what = " ".join(map(str, key))
            reason = f"{place}: contradicts another line on {what:.80}"
            raise ValueError(f"{reason}: delete one of the two")
    return [new for _, new in found.values()]


# book/running/results.md, section "Read"
def read_store(folder: Path | str | None = None) -> dict[str, list[dict]]:
    """Return runs, scores and studies; a table that is not there is empty.

    Raises:
        ValueError: something that is no folder, or a damaged table.
    """
    place = results_folder() if folder is None else as_path(folder)
    if place.exists() and not place.is_dir():
        raise ValueError(f"{place} is no folder: choose another store")
    store = {
        name: read_results(name, place)
        if (place / f"{name}.csv").exists()
        else []
        for name in ("studies", "runs", "scores")
    }
    _check_labels(place, store["runs"], store["studies"])
    return store


def _check_labels(
    place: Path, runs: Iterable[dict], labels: Iterable[dict]
) -> None:
    known = {row["run"] for row in runs}
    for row in labels:
        if row["run"] not in known:
            raise ValueError(
                f"{place / 'studies.csv'}: run {row['run']!r:.40} is not in"
                f" runs.csv: restore both from version control, or delete"
                f" the line"
            )


# book/running/results.md, section "Read"
def select(
    table: str = "scores", folder: Path | str | None = None, **wanted
) -> list[dict]:
    """Return the rows of runs that match.

    Args:
        table: "scores", "metrics" or "runs".
        folder: of the store; None: the committed results.
        wanted: values of columns, of study and label, or of fields of the
            configuration or the plan; a set stands for any of its values.

    Returns:
        Dictionaries of the table's columns and those of the run; where study
        or label is asked for, one for each label that fits.

    Raises:
        ValueError: an unknown name, or a damaged table.
    """
    named = bool(wanted.keys() & {"study", "label"})
    studies = read_results("studies", folder) if named else []
    runs = {row["run"]: row for row in read_results("runs", folder)}
    rows = [{"run": run} for run in runs]
    if table != "runs":
        rows = read_results(table, folder)
    labels: dict[str, list[dict]] = {run: [{}] for run in runs}
    if named:
        labels = {run: [] for run in runs}
        place = results_folder() if folder is None else as_path(folder)
        _check_labels(place, runs.values(), studies)
        for label in studies:
            labels[label["run"]].append(label)
    found, known = [], {"study", "label"}
    for row in rows:
        for label in labels.get(row["run"], ()):
            run = runs[row["run"]]
            end = label.get("updates") or run["plan"]["updates"]
            if row.get("updates", 0) > end:
                continue
            plan = run["plan"] | {"updates": end}
            full = label | {"updates": end} | run | row | {"plan": plan}
            asked = full["config"] | full["plan"] | full
            known |= asked.keys()
            if all(_fits(asked.get(k), v) for k, v in wanted.items()):
                found.append(full)
    unknown = wanted.keys() - known
    if rows and unknown:
        raise ValueError(f"no run has {sorted(unknown)[0]!r}")
    return found


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, set):
        return value in wanted
    return value == (list(wanted) if isinstance(wanted, tuple) else wanted)


# book/running/results.md, section "Write"
ASKED = {
    "task": (str, None),
    "algorithm": str,
    "config": {},
    "plan": {},
    "seeds": [int],
    "data": str,
    "code": {...: str},
}
FOUND = {
    "updates": int,
    "versions": str,
    "hardware": str,
    "wall_seconds": float,
    "updates_per_second": (float, None),
    "gflop_per_update": float,
}


def describe_finished(folder: Path) -> dict[str, Any]:
    """Return the row of `runs.csv` for the finished run in a folder.

    Raises:
        ValueError: the run is not finished, or its files are damaged.
    """
    if not (folder / "summary.json").exists():
        raise ValueError(f"{folder} holds no finished run: train it first")
    asked = read_json(folder / "config.json", ASKED, "train it again")
    found = read_json(folder / "summary.json", FOUND, "train it again")
    plan = {"updates": found["updates"], "seeds": asked["seeds"]}
    return {
        **{name: asked[name] for name in ("task", "algorithm", "config")},
        **{name: found[name] for name in FOUND if name != "wall_seconds"},
        "run": name_run(asked),
        "plan": asked["plan"] | plan,
        "data": asked["data"],
        "code": name_run(asked["code"]),
        "seconds": found["wall_seconds"],
    }


# book/running/results.md, section "Write"
def add_run(
    run: Path | str,
    study: str,
    label: str,
    folder: Path | str | None = None,
    metrics: bool = False,
) -> str:
    """Add a finished run to the store, or renew it there; return its name.

    Args:
        run: the folder of the run.
        study, label: who asked for it, and under which name.
        folder: of the store; None: the committed results.
        metrics: keep what it measured while it trained, too.

    Raises:
        ValueError: the run is not finished, or its files are damaged.
        OSError: the store cannot be written; what it held is still there.
    """
    place = as_path(run)
    row = describe_finished(place)
    asked = {"study": study, "task": row["task"], "label": label}
    asked["updates"] = row["plan"]["updates"]
    rows = {"runs": [row], "studies": [asked]}
    for table in ("scores", "metrics") if metrics else ("scores",):
        path = place / f"{table}.csv"
        rows[table] = read_table(path) if path.exists() else []
    store = results_folder() if folder is None else as_path(folder)
    with own_folder(store, wait=True):
        known = {}
        for table in TABLES:
            path = store / f"{table}.csv"
            known[table] = read_table(path) if path.exists() else []
            check_columns(path, table, known[table])
        old = [each for each in known["runs"] if each["run"] == row["run"]]
        same = [
            each for each in old
            if all(each[name] == row[name] for name in ("code", "versions"))
        ]
        checked = check_rows(store / "runs.csv", "runs", known["runs"])
        ends = {each["run"]: each["plan"]["updates"] for each in checked}
        if same and ends[row["run"]] > asked["updates"]:
            rows["runs"] = same
        if old and not same and known["metrics"]:
            rows.setdefault("metrics", [])
        for table in ("scores", "metrics", "runs", "studies"):
            if table in rows:
                path, had = store / f"{table}.csv", known[table]
                drop = not same and table != "studies"
                _merge(path, table, row["run"], rows[table], had, drop)
    return row["run"]


# book/running/results.md, section "Write"
def _merge(
    path: Path,
    table: str,
    run: str,
    rows: Iterable[Mapping],
    known: list[dict],
    drop: bool,
) -> None:
    """Write known and new rows; drop: without what the run had before."""

    def key(row):
        return tuple(str(row[name]) for name in KEYS[table])

    rows = [{**row, "run": run} for row in rows]
    new = {key(row) for row in rows}
    kept = [
        row for row in known
        if key(row) not in new and not (drop and row["run"] == run)
    ]
    columns = dict.fromkeys(TABLES[table])
    more = (*kept, *rows) if table == "metrics" else kept
    columns |= dict.fromkeys(name for row in more for name in row)
    write_atomic(path, format_rows(columns, (*kept, *rows)))


def format_rows(columns: Iterable[str], rows: Iterable[Mapping]) -> str:
    """Return rows as CSV; dictionaries as JSON, other columns left out."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(columns), lineterminator="\n", extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(map(dict, map(_spell, rows)))
    return text.getvalue()


def _spell(row: Mapping) -> Iterator[tuple[str, Any]]:
    for column, value in row.items():
        if isinstance(value, Mapping):
            value = json.dumps(value, sort_keys=True)
        yield column, value
