# Generated from book/appendix/answers.md by make sync. Edit the chapter, not this file.
"""Answers and errors: answer a person and a program.

A command answers with values for programs and a text for people, or with one
line that says what went wrong.
"""

__all__ = [
    "Answer",
    "plain",
    "align",
    "count",
    "Parser",
    "complain",
    "is_foreseen",
    "FULL",
    "IN_THE_WAY",
    "explain",
    "MORE",
    "ISSUES",
    "answer_error",
]


# book/appendix/answers.md, section "Answers and errors: answer a person and a program"
import argparse
import dis
import errno
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


# book/appendix/answers.md, section "One answer, two forms"
class Answer(NamedTuple):
    """Hold what a command found: values for `--json`, text without."""

    values: dict
    text: str
    code: int = 0  # of the exit; 1 for an answer that is a no


def plain(value: Any) -> Any:
    """Return `value` in types that JSON has; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


# book/appendix/answers.md, section "One answer, two forms"
def align(rows: Iterable[Sequence]) -> str:
    """Return rows of cells as lines, each column as wide as it needs."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def count(number: int, noun: str) -> str:
    """Return "1 seed" or "2 seeds"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# book/appendix/answers.md, section "A parser with errors of one line"
class Parser(argparse.ArgumentParser):
    """Read options; answer a mistake with one line and exit code 2.

    Args:
        late: (parser, words) -> words, called once, before the words are
            read; it may add options and spell words another way.
        options: of `argparse.ArgumentParser`.
    """

    def __init__(self, late: Callable | None = None, **options):
        super().__init__(allow_abbrev=False, **options)
        self.late = late

    def parse_known_args(self, args=None, namespace=None):
        """Read words; return the options and the words that are none."""
        if self.late is None:
            return super().parse_known_args(args, namespace)
        late, self.late = self.late, None
        words = late(self, sys.argv[1:] if args is None else list(args))
        found, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str):
        """Print one line on standard error and exit with code 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


def complain(message: str) -> None:
    """Print `message` as one line on standard error."""
    print(f"smore-lit: {' '.join(message.split())}", file=sys.stderr)


# book/appendix/answers.md, section "What went wrong, and what to do"
def is_foreseen(error: BaseException) -> bool:
    """Tell whether an error answers the user, or else is a fault."""
    if isinstance(error, ImportError):
        return not (error.name or "").startswith("smore_lit")
    if isinstance(error, OSError | MemoryError):
        return True
    if not isinstance(error, ValueError | FloatingPointError):
        return False
    place = error.__traceback__
    assert place is not None  # it was caught
    while place.tb_next is not None:
        place = place.tb_next
    frame = place.tb_frame
    raised = frame.f_code.co_code[place.tb_lasti]
    home, name = frame.f_globals, frame.f_globals["__name__"]
    ours = home is globals() or name.startswith("smore_lit.")
    return ours and raised == dis.opmap["RAISE_VARARGS"]


# book/appendix/answers.md, section "What went wrong, and what to do"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


def explain(error: BaseException) -> str:
    """Return one line that says what went wrong and what to do."""
    text = str(error) or type(error).__name__
    if isinstance(error, ImportError):
        return f'{text}: pip install "smore_lit[all]"'
    if not isinstance(error, OSError) or not error.errno:
        return text
    if error.strerror != os.strerror(error.errno):
        return error.strerror or text
    place = ""
    if error.filename is not None:
        place = f"cannot use {os.fsdecode(error.filename)}: "
    if error.errno in FULL:
        advice = "free some space or choose another folder"
    elif error.errno in IN_THE_WAY:
        advice = "something else stands there; choose another path"
    else:
        advice = "check the path and who may use it"
    return f"{place}{error.strerror}: {advice}"


# book/appendix/answers.md, section "What went wrong, and what to do"
MORE = "SMORE_LIT_TRACEBACK"  # if set, tracebacks are shown
ISSUES = "https://github.com/smore-lit/smore_lit/issues"


def answer_error(error: BaseException) -> int:
    """Print one line on an error, or its traceback if asked; return the code.

    Returns:
        2 for a mistake that a user can mend, 3 for a fault.
    """
    if os.environ.get(MORE):
        traceback.print_exception(error)
    if is_foreseen(error):
        complain(explain(error))
        return 2
    complain(
        f"{type(error).__name__}: {error}: this was not foreseen;"
        f" {MORE}=1 shows where it happened, {ISSUES} is where to tell us"
    )
    return 3
