# Generated from book/worlds/task_reference.md by make sync. Edit the chapter, not this file.
"""Task reference: look up a task.

Every number of every task, printed from the objects that the code uses.
"""

__all__ = [
    "table",
    "columns",
    "find_words",
    "describe_numbers",
    "reference_page",
]


# book/worlds/task_reference.md, section "Task reference: look up a task"
from smore_lit.worlds.tasks import Reference, Task


# book/worlds/task_reference.md, section "How a page is made"
def table(head: tuple, rows: list) -> list[str]:
    """Return the lines of a Markdown table."""
    rule = ["---"] * len(head)
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, rule, *rows)]
    return ["", *lines, ""]


def columns(rows) -> list[tuple]:
    """Return (columns, meaning, unit) from (count, meaning, unit)."""
    first, found = 0, []
    for count, meaning, unit in rows:
        last = first + count - 1
        place = f"{first}" if count == 1 else f"{first} to {last}"
        found.append((place, meaning, unit))
        first = last + 1
    return found


# book/worlds/task_reference.md, section "How a page is made"
def find_words(task: Task) -> tuple[tuple[int, ...], Reference]:
    """Return the goal's columns and the reference of a task.

    Raises:
        ValueError: the task has none.
    """
    if task.goal_index is None or task.reference is None:
        raise ValueError(
            f"{task.name} has no page: give the task goal_index and reference"
        )
    return task.goal_index, task.reference


def describe_numbers(task: Task) -> list[tuple]:
    """Return (name, value) of what a task fixes."""
    unit, (index, words) = task.unit, find_words(task)
    ends = task.ends and f", or {task.ends}"
    goal = index[0] if len(index) == 1 else f"{index[0]} to {index[-1]}"
    rows = [
        ("simulator", f"`{task.env_id}`"),
        ("source", task.source),
        ("start", words.start),
        ("goal", words.goal),
        ("achieved goal", f"observation, column {goal}"),
        ("reached", f"distance at most {task.threshold:g} {unit}"),
        ("horizon", f"{task.horizon} steps{ends}"),
        ("episodes, paper", f"{task.paper_episodes:,}"),
        ("episodes, cpu", f"{task.cpu_episodes:,}"),
    ]
    strict = task.success_threshold
    if strict is not None:
        meaning = f"distance below {strict:g} {unit}, after the last action"
        rows.insert(6, ("success", meaning))
    return rows


def reference_page(task: Task) -> str:
    """Return the reference of a task as Markdown."""
    _, words = find_words(task)
    lines = table(("", ""), describe_numbers(task))
    head = ("column", "meaning", "unit")
    lines += ["**Observation**", *table(head, columns(words.observation))]
    head = ("column", "what 1 asks for", "unit")
    lines += ["**Action**, each in [-1, 1]"]
    lines += table(head, columns(words.action))
    lines += ["**Versions**", "", *(f"- {line}" for line in words.history)]
    lines += ["", "**Differences from the paper's**", ""]
    lines += [f"- {line}" for line in words.differences]
    return "\n".join(lines)
