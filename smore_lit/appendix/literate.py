# Generated from book/appendix/literate.md by make sync. Edit the chapter, not this file.
"""Colophon: one text that is book and package.

One Markdown file per chapter becomes a notebook to run and a module to import,
and a check notices when they differ.
"""

__all__ = [
    "Cell",
    "Chapter",
    "TAGS",
    "report",
    "check_tags",
    "SLIPS",
    "check_text",
    "FENCED",
    "HEADING",
    "ITALIC_LINE",
    "split_cells",
    "read_chapter",
    "FENCE",
    "OPTIONS",
    "BODY",
    "replace_directive",
    "write_math",
    "write_details",
    "write_figure",
    "write_note",
    "write_box",
    "plain_prose",
    "BANNER",
    "INSTALL",
    "EXTRAS",
    "identify_cells",
    "imports_package",
    "weave",
    "defined_names",
    "is_definition",
    "parse_cell",
    "lift_futures",
    "collect_blocks",
    "MAIN",
    "write_docstring",
    "write_all",
    "tangle",
    "WING",
    "plain_newlines",
    "load_chapters",
    "read_repository",
    "render",
    "find_orphans",
    "write_atomic",
    "holds",
    "chapter_of",
    "sync",
    "check",
    "main",
]


# book/appendix/literate.md, section "Colophon: one text that is book and package"
import argparse
import ast
import difflib
import hashlib
import os
import re
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
from jupytext.myst import myst_to_notebook


# book/appendix/literate.md, section "One source, two twins"
class Cell(NamedTuple):
    """Hold one cell of a chapter and where it stands."""

    kind: str  # "markdown", "code" or "raw"
    source: str
    metadata: dict
    line: int  # of the opening fence, counted from 1
    section: str  # the last heading above the cell

    @property
    def exported(self):
        return "export" in self.metadata.get("tags", ())


@dataclass(frozen=True)
class Chapter:
    """Hold a chapter that has been read: its address, title and cells."""

    path: str  # "book/learning/smore.md"
    title: str
    summary: str
    cells: tuple[Cell, ...]

    @property
    def notebook(self):
        return self.path.removesuffix(".md") + ".ipynb"

    @property
    def module(self):
        stem = self.path.removeprefix("book/").removesuffix(".md")
        return f"smore_lit/{stem}.py"


# book/appendix/literate.md, section "Read a chapter"
TAGS = frozenset(
    """
    export hide-input hide-output hide-cell remove-input remove-output
    remove-cell remove-stdout remove-stderr output_scroll scroll-output
    full-width margin raises-exception skip-execution
    """.split()
)


def report(path: str, line: int, problem: str) -> ValueError:
    """Return the error for a `problem` in the cell at `line` of `path`."""
    return ValueError(f"{path}, cell at line {line}: {problem}")


def check_tags(path: str, line: int, tags: list[str]) -> None:
    """Raise ValueError if one of a cell's `tags` is unknown."""
    for tag in tags:
        if tag not in TAGS:
            near = difflib.get_close_matches(str(tag), TAGS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise report(path, line, f"unknown tag {tag!r}{hint}")


# book/appendix/literate.md, section "Read a chapter"
SLIPS = (
    ("\r", "carriage return; save with plain newlines"),
    ("\t", "tab; use spaces"),
    (r"^:tags: *[^\[ ]", "tags without brackets; write :tags: [export]"),
)


def check_text(path: str, text: str) -> None:
    """Raise ValueError at a slip that Jupytext would pass over."""
    for number, line in enumerate(text.split("\n"), start=1):
        for pattern, problem in SLIPS:
            if re.search(pattern, line):
                raise ValueError(f"{path}, line {number}: {problem}")
    head = text.partition("\n\n")[0]
    problem = ""
    if not head.startswith("---\njupytext:\n"):
        problem = "no jupytext header; copy it from another chapter"
    elif not head.endswith("\n---"):
        problem = "header not closed; put --- above the first blank line"
    if problem:
        raise ValueError(f"{path}, line 1: {problem}")


# book/appendix/literate.md, section "Read a chapter"
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*[ ]*$", re.M | re.S)
HEADING = re.compile(r"^(#+) +(.+?)[ #]*$", re.M)
ITALIC_LINE = re.compile(r"^\*([^*].*[^*])\*$", re.M)


def split_cells(path: str, text: str) -> list:
    """Return the cells of `text` as pairs (notebook cell, line from 1)."""
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not readable as MyST: {reason}") from None
    pairs = []
    for cell, start in zip(
        notebook.cells, notebook.metadata["source_map"], strict=True
    ):
        line = start + (cell.cell_type == "markdown")
        check_tags(path, line, cell.metadata.get("tags", []))
        pairs.append((cell, line))
    return pairs


# book/appendix/literate.md, section "Read a chapter"
def read_chapter(path: str, text: str) -> Chapter:
    """Split a MyST chapter into titled, located cells.

    Args:
        path: address below the root, `book/<part>/<name>.md`.
        text: the chapter.

    Returns:
        The chapter.

    Raises:
        ValueError: no header or title, tabs, CRLF, bad YAML, unknown tag.
    """
    check_text(path, text)
    title, summary, section, cells = "", "", "", []
    for cell, line in split_cells(path, text):
        if cell.cell_type == "markdown":
            prose = FENCED.sub("", cell.source)
            for level, heading in HEADING.findall(prose):
                section = heading
                if level == "#" and not title:
                    title = heading
                    italic = ITALIC_LINE.search(prose)
                    summary = italic[1] if italic else ""
        kind, metadata = cell.cell_type, dict(cell.metadata)
        cells.append(Cell(kind, cell.source, metadata, line, section))
    if not title:
        raise ValueError(f"{path}: no title; begin with '# Do something'")
    return Chapter(path, title, summary, tuple(cells))


# book/appendix/literate.md, section "Weave the notebook"
FENCE = r"^(?P<fence>[`:]{3,})\{%s\}[ ]*(?P<argument>[^\n]*)\n"
OPTIONS = r"(?P<options>(?::[\w-]+:[^\n]*\n)*)"
BODY = r"(?P<body>.*?)^(?P=fence)[ ]*$"


def replace_directive(name: str, prose: str, write) -> str:
    """Replace each directive `name` by write(argument, options, body)."""
    pattern = re.compile(FENCE % name + OPTIONS + BODY, re.M | re.S)

    def substitute(match):
        found = re.findall(r":([\w-]+):[ ]*(.*)\n", match["options"])
        body = match["body"].strip()
        return write(match["argument"].strip(), dict(found), body)

    return pattern.sub(substitute, prose)


# book/appendix/literate.md, section "Weave the notebook"
def write_math(argument, options, body):
    tag = f" \\tag{{{options['label']}}}" if "label" in options else ""
    return f"$$\n{body}{tag}\n$$"


def write_details(argument, options, body):
    summary = f"<summary>{argument}</summary>"
    return f"<details>{summary}\n\n{body}\n\n</details>"


def write_figure(argument, options, body):
    return f"![{options.get('alt', '')}]({argument})\n\n{body}".rstrip()


def write_note(argument, options, body):
    head = f"**{argument}**\n\n" if argument else ""
    return textwrap.indent(head + body, "> ", lambda line: True)


def write_box(argument, options, body):
    kind, _, title = argument.partition(" ")
    head = f"{kind.capitalize()} ({title})" if title else kind.capitalize()
    return write_note(head, options, body)


def plain_prose(source: str) -> str:
    """Return MyST prose in the Markdown that notebook viewers show."""
    boxed = r"^(`{3,}|:{3,})\{prf:(\w+)\}"
    source = re.sub(boxed, r"\1{box} \2", source, flags=re.M)
    for name, write in (
        ("math", write_math),
        ("dropdown", write_details),
        ("figure", write_figure),
        ("box", write_box),
        ("index", lambda argument, options, body: ""),
        ("(?:note|warning|tip|important|admonition)", write_note),
    ):
        source = replace_directive(name, source, write)
    source = re.sub(r"^\([\w-]+\)=\n", "", source, flags=re.M)
    named = r"\{(?:ref|doc|numref|index|prf:ref)\}`([^`<]+?)\s*<[^`]*>`"
    source = re.sub(named, r"\1", source)
    source = re.sub(r"\{(?:index|numref|prf:ref)\}`([^`]+)`", r"\1", source)
    source = re.sub(r"\{eq\}`([^`]+)`", r"(\1)", source)
    return re.sub(r"\{cite(?::\w+)?\}`([^`]+)`", r"[\1]", source)


# book/appendix/literate.md, section "Weave the notebook"
BANNER = "Generated from {} by make sync. Edit the chapter, not this file."
INSTALL = '''\
try:
    import smore_lit
except ImportError:
    %pip install --quiet "smore_lit[{}] @ git+{}"'''
EXTRAS = "robotics,datasets,plot,notebooks"  # all that chapters import


def identify_cells(path: str, cells: list) -> None:
    """Give each notebook cell an identifier that follows from its text."""
    seen: dict[str, int] = {}
    for cell in cells:
        key = f"{path}\n{cell.cell_type}\n{cell.source}"
        seen[key] = seen.get(key, 0) + 1
        digest = hashlib.sha256(f"{key}\n{seen[key]}".encode())
        cell["id"] = digest.hexdigest()[:12]


def imports_package(chapter: Chapter) -> bool:
    """Tell whether a code cell of the chapter imports `smore_lit`."""
    pattern = re.compile(r"^\s*(?:from|import) smore_lit\b", re.M)
    return any(
        cell.kind == "code" and pattern.search(cell.source)
        for cell in chapter.cells
    )


# book/appendix/literate.md, section "Weave the notebook"
def weave(chapter: Chapter, repository: str = "") -> str:
    """Return the chapter as the JSON text of a notebook without outputs.

    Args:
        chapter: what `read_chapter` returns.
        repository: address to install from; empty for no such cell.

    Returns:
        Notebook format 4.5; equal text for equal arguments.
    """
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell(f"*{BANNER.format(chapter.path)}*")]
    if repository and imports_package(chapter):
        cells.append(v4.new_code_cell(INSTALL.format(EXTRAS, repository)))
    for cell in chapter.cells:
        create = getattr(v4, f"new_{cell.kind}_cell")
        prose = cell.kind == "markdown"
        source = plain_prose(cell.source) if prose else cell.source
        cells.append(create(source, metadata=cell.metadata))
    identify_cells(chapter.path, cells)
    kernel = dict(display_name="Python 3", language="python", name="python3")
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = v4.new_notebook(cells=cells, metadata=metadata)
    return jupytext.writes(notebook, "ipynb").rstrip("\n") + "\n"


# book/appendix/literate.md, section "Tangle the module"
def defined_names(node: ast.stmt) -> list[str]:
    """List the names that a top-level definition binds, imports aside."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        parts = [n for target in node.targets for n in ast.walk(target)]
        return [n.id for n in parts if isinstance(n, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def is_definition(node: ast.stmt, inside_class: bool = False) -> bool:
    """Tell whether a statement only imports or defines."""
    if isinstance(node, ast.ClassDef):
        return all(is_definition(child, True) for child in node.body)
    if isinstance(node, ast.ImportFrom):
        return node.names[0].name != "*"
    if isinstance(node, ast.Assign):
        parts = [n for target in node.targets for n in ast.walk(target)]
        plain = ast.Name | ast.Tuple | ast.List | ast.Store
        return all(isinstance(n, plain) for n in parts)
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name)
    if inside_class and isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    allowed = ast.Import | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, allowed | ast.Pass)


# book/appendix/literate.md, section "Tangle the module"
def parse_cell(path: str, cell: Cell) -> ast.Module:
    """Return the syntax tree of an exported cell that only defines."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError as error:
        row = error.lineno or 1
        text = (cell.source.splitlines() + [""])[row - 1].strip()
        problem = f"line {row} of the cell does not parse: {error.msg}"
        if text[:1] in ("%", "!"):
            problem = f"magic {text!r} in an exported cell; remove the tag"
        raise report(path, cell.line, problem) from None
    for node in tree.body:
        if not is_definition(node):
            text = cell.source.splitlines()[node.lineno - 1].strip()
            raise report(
                path,
                cell.line,
                f"{text!r} would run at import; export only explicit "
                "imports, constants, functions and classes",
            )
    return tree


# book/appendix/literate.md, section "Tangle the module"
def lift_futures(source: str, tree: ast.Module) -> tuple[str, list[str]]:
    """Return the source without `__future__` imports, and their names."""
    lines, names = source.splitlines(), []
    for node in reversed(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            names += [alias.name for alias in node.names]
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip("\n"), names


def collect_blocks(chapter: Chapter) -> tuple[list, list, set]:
    """Return exported blocks, names defined, and `__future__` features."""
    blocks, futures = [], set()
    first: dict[str, int] = {}
    for cell in filter(lambda cell: cell.exported, chapter.cells):
        tree = parse_cell(chapter.path, cell)
        for name in [n for node in tree.body for n in defined_names(node)]:
            if name in first:
                problem = f"{name} is already defined at line {first[name]}"
                raise report(chapter.path, cell.line, problem)
            first[name] = cell.line
        source, names = lift_futures(cell.source, tree)
        futures.update(names)
        if source:
            pointer = f'# {chapter.path}, section "{cell.section}"'
            blocks.append(f"{pointer}\n{source}")
    return blocks, list(first), futures


# book/appendix/literate.md, section "Tangle the module"
MAIN = 'if __name__ == "__main__":\n    raise SystemExit(main())'


def write_docstring(chapter: Chapter) -> str:
    """Return the module's docstring: title, then summary."""
    title = chapter.title.rstrip(".") + "."
    text = "\n".join(textwrap.wrap(chapter.summary, 79))
    prefix = "r" if "\\" in title + text else ""
    body = f"{title}\n\n{text}\n" if text else title
    return f'{prefix}"""{body}"""'


def write_all(names: list[str]) -> str:
    """Return the statement that declares the public names."""
    public = [f'"{name}"' for name in names if not name.startswith("_")]
    line = f"__all__ = [{', '.join(public)}]"
    if len(line) <= 79:
        return line
    return "__all__ = [\n" + "".join(f"    {n},\n" for n in public) + "]"


# book/appendix/literate.md, section "Tangle the module"
def tangle(chapter: Chapter) -> str | None:
    """Return the module that the chapter's exported cells make.

    Args:
        chapter: what `read_chapter` returns.

    Returns:
        Python source, or None if no cell is exported.

    Raises:
        ValueError: code that does not parse, runs at import, or defines a
            name twice; a chapter whose file name is no identifier.
    """
    blocks, names, futures = collect_blocks(chapter)
    if not blocks:
        return None
    if not Path(chapter.module).stem.isidentifier():
        raise ValueError(f"{chapter.path}: no name for a module; rename it")
    banner = f"# {BANNER.format(chapter.path)}"
    head = [f"{banner}\n{write_docstring(chapter)}"]
    if futures:
        head.append(f"from __future__ import {', '.join(sorted(futures))}")
    head.append(write_all(names))
    tail = [MAIN] if "main" in names else []
    text = "\n\n\n".join(["\n\n".join(head), *blocks, *tail]) + "\n"
    ast.parse(text)
    return text


# book/appendix/literate.md, section "Keep the twins up to date"
WING = '# {}\n"""Hold the modules exported from book/{}/."""\n'


def plain_newlines(data: bytes) -> bytes:
    """Return `data` with the line ends of Windows replaced by plain ones."""
    return data.replace(b"\r\n", b"\n")


def load_chapters(root: Path) -> tuple[list[Chapter], dict[str, str]]:
    """Return all readable chapters below `root`, and problems by path."""
    if not (root / "book").is_dir():
        raise ValueError(f"{root}: no folder 'book'; name the checkout")
    chapters, problems = [], {}
    for file in sorted((root / "book").rglob("*.md")):
        path = file.relative_to(root).as_posix()
        try:
            text = plain_newlines(file.read_bytes()).decode()
            chapters.append(read_chapter(path, text))
        except UnicodeDecodeError:
            problems[path] = f"{path}: not UTF-8; save it as UTF-8"
        except ValueError as error:
            problems[path] = str(error)
    return chapters, problems


def read_repository(root: Path) -> str:
    """Return the repository's address from `pyproject.toml`, else ''."""
    file = root / "pyproject.toml"
    if not file.exists():
        return ""
    project = tomllib.loads(file.read_text("utf-8")).get("project", {})
    return project.get("urls", {}).get("Repository", "")


# book/appendix/literate.md, section "Keep the twins up to date"
def render(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of every twin by path, and problems by chapter."""
    chapters, problems = load_chapters(root)
    repository, twins = read_repository(root), {}
    for chapter in chapters:
        try:
            module = tangle(chapter)
        except ValueError as error:
            problems[chapter.path] = str(error)
            continue
        twins[chapter.notebook] = weave(chapter, repository)
        if module is None:
            continue
        twins[chapter.module] = module
        part = Path(chapter.module).parent.relative_to("smore_lit")
        if part.parts:
            banner = BANNER.format(f"book/{part.as_posix()}/")
            text = WING.format(banner.replace("chapter", "chapters"), part)
            twins[f"smore_lit/{part.as_posix()}/__init__.py"] = text
    return twins, problems


# book/appendix/literate.md, section "Keep the twins up to date"
def find_orphans(root: Path, twins: dict, problems: dict) -> list[str]:
    """List twins on disk that no chapter accounts for."""
    files = [*(root / "book").rglob("*.ipynb")]
    files += (root / "smore_lit").rglob("*.py")
    spared = {"smore_lit/__init__.py"}
    for path in problems:
        broken = Chapter(path, "", "", ())
        init = Path(broken.module).with_name("__init__.py").as_posix()
        spared |= {broken.notebook, broken.module, init}
    paths = {file.relative_to(root).as_posix() for file in files}
    hidden = {p for p in paths if "/." in p}
    return sorted(paths - hidden - spared - set(twins))


# book/appendix/literate.md, section "Keep the twins up to date"
def write_atomic(file: Path, text: str) -> None:
    """Replace the file's content in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(text.encode())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def holds(file: Path, text: str) -> bool:
    """Tell whether the file exists with exactly these lines."""
    if not file.is_file():
        return False
    return plain_newlines(file.read_bytes()) == text.encode()


def chapter_of(path: str) -> str:
    """Return the chapter, or the part, that the twin at `path` is from."""
    inner = path.split("/", 1)[1]
    if inner.endswith("/__init__.py"):
        return f"book/{inner.removesuffix('__init__.py')}"
    return f"book/{os.path.splitext(inner)[0]}.md"


# book/appendix/literate.md, section "Keep the twins up to date"
def sync(root: str | Path = ".") -> list[str]:
    """Write every twin that differs from its chapter.

    Args:
        root: the checkout, with `book/` and `smore_lit/`.

    Returns:
        Paths written or removed, relative to `root`.

    Raises:
        ValueError: one line per chapter that cannot be exported, after
            all others have been.
    """
    root, changed = Path(root), []
    twins, problems = render(root)
    for path, text in twins.items():
        if not holds(root / path, text):
            write_atomic(root / path, text)
            changed.append(path)
    for path in find_orphans(root, twins, problems):
        if b"Generated from book/" in (root / path).read_bytes():
            (root / path).unlink()
            changed.append(path)
    if problems:
        raise ValueError("\n".join(problems.values()))
    return changed


# book/appendix/literate.md, section "Keep the twins up to date"
def check(root: str | Path = ".") -> list[str]:
    """Describe every difference between chapters and twins.

    Args:
        root: the checkout, with `book/` and `smore_lit/`.

    Returns:
        One line per difference, naming the chapter to edit; empty if none.

    Raises:
        ValueError: one line per chapter that cannot be exported.
    """
    root, lines = Path(root), []
    twins, problems = render(root)
    if problems:
        raise ValueError("\n".join(problems.values()))
    for path, text in twins.items():
        source = chapter_of(path)
        if not (root / path).exists():
            lines.append(f"{path} is missing: run make sync")
        elif not holds(root / path, text):
            lines.append(
                f"{path} differs from its chapter: "
                f"edit {source}, then run make sync"
            )
    for path in find_orphans(root, twins, problems):
        lines.append(
            f"{path} has no chapter: write {chapter_of(path)}, or delete it"
        )
    return lines


# book/appendix/literate.md, section "From the command line"
def main(arguments: list[str] | None = None) -> int:
    """Run `sync` or `check` from the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m smore_lit.appendix.literate",
        description="Keep notebooks and modules in step with the chapters.",
    )
    parser.add_argument("action", choices=["sync", "check"])
    parser.add_argument("--root", default=".", help="the checkout")
    options = parser.parse_args(arguments)
    try:
        act = sync if options.action == "sync" else check
        lines = act(options.root)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(options.action == "check" and bool(lines))


if __name__ == "__main__":
    raise SystemExit(main())
