"""Keep notebooks as `pytest --nbmake` executed them, for the book to render.

With `--keep-executed FOLDER`, every notebook that passes is written below
FOLDER with its outputs and with the cells of its chapter: without the one
that installs the package, and without the times of execution.
The notebooks in `book/` stay as they are.
A notebook that writes to standard error, a warning above all, fails: a page
would show it.
"""

from pathlib import Path

import nbformat

BOOK = Path(__file__).resolve().parent


def pytest_addoption(parser):
    parser.addoption(
        "--keep-executed",
        metavar="FOLDER",
        type=Path,
        help="write executed notebooks below FOLDER",
    )


def leave_chapter_cells(notebook):
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if codes and "%pip install" in codes[0].source:
        notebook.cells.remove(codes[0])
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def find_stderr(notebook):
    """Return the cell that wrote to standard error and the text, or None."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                return index, output["text"]
    return None


def pytest_configure(config):
    folder = config.getoption("--keep-executed", None)
    if folder is None or not config.getoption("--nbmake"):
        return
    from nbmake import pytest_items
    from nbmake.nb_result import NotebookError
    from nbmake.nb_run import NotebookRun

    class KeepingRun(NotebookRun):
        def execute(self):
            result = super().execute()
            if result.error is None and (found := find_stderr(result.nb)):
                index, text = found
                words = f"the page would show: {text.strip()}"
                result.error = NotebookError(words, words, index)
            if result.error is None:
                leave_chapter_cells(result.nb)
                file = folder / self.filename.resolve().relative_to(BOOK)
                file.parent.mkdir(parents=True, exist_ok=True)
                nbformat.write(result.nb, file)
            return result

    pytest_items.NotebookRun = KeepingRun
