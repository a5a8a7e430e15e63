# Generated from book/appendix/figures.md by make sync. Edit the chapter, not this file.
"""Figures and tables: draw every one alike.

One size, one font, and one colour per method, per divergence and per task in
the whole book, apart for colour-blind readers too.
"""

__all__ = [
    "COLOURS",
    "DIVERGENCE_COLOURS",
    "TASK_COLOURS",
    "STYLE",
    "use_style",
    "Table",
    "table",
    "draw_map",
    "PLAY",
    "SLIDER",
    "Frames",
    "play_frames",
]


# book/appendix/figures.md, section "Figures and tables: draw every one alike"
import base64
import html
import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


# book/appendix/figures.md, section "One colour for one thing"
COLOURS: dict[str, str] = {
    "smore": "#d25a00",
    "gofar": "#001eff",
    "wgcsl": "#ffcd00",
    "gcsl": "#3ce1ff",
    "bc": "#00460a",
    "crl": "#ff7387",
    "am": "#780a8c",
    "iql": "#d24bff",
    "sql": "#0f69ff",
    "eql": "#f0d278",
    "xql": "#001e96",
    "expert": "#5a5a5a",
    "random": "#a5a5a5",
    "paper": "#000000",
}


# book/appendix/figures.md, section "One colour for one thing"
DIVERGENCE_COLOURS: dict[str, str] = {
    "chi2": "#d25a00",
    "kl": "#001eff",
    "hellinger": "#ff7387",
    "js": "#00460a",
    "tv": "#5a5a5a",
}
TASK_COLOURS: dict[str, str] = {
    "Reacher": "#3ce1ff",
    "SawyerReach": "#ff7387",
    "SawyerDoor": "#780a8c",
    "FetchReach": "#d25a00",
    "FetchPick": "#001eff",
    "FetchPush": "#d24bff",
    "FetchSlide": "#ffcd00",
    "HandReach": "#00460a",
}


# book/appendix/figures.md, section "One colour for one thing"
STYLE = {
    "figure.figsize": (6.4, 2.8),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.hashsalt": "smore_lit",  # the same file for the same figure
}


def use_style() -> None:
    """Set size, font, colours and format of all figures from here on."""
    import matplotlib as mpl
    from matplotlib.rcsetup import cycler
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    mpl.rcParams.update(STYLE)
    cycle = cycler(color=list(COLOURS.values()))
    mpl.rcParams["axes.prop_cycle"] = cycle
    if "inline" in mpl.get_backend():  # a notebook
        set_matplotlib_formats("svg")


# book/appendix/figures.md, section "Tables"
class Table(NamedTuple):
    """Show rows under a header, as HTML in a notebook, else as text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _repr_html_(self) -> str:
        def line(cells, kind):
            escaped = (html.escape(cell) for cell in cells)
            return "".join(f"<{kind}>{cell}</{kind}>" for cell in escaped)

        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows)
        return (
            '<table class="numbers"><thead><tr>'
            f"{line(self.header, 'th')}</tr></thead><tbody>{body}</tbody>"
            "</table>"
        )

    def __repr__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        texts = [
            [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
            for row in lines
        ]
        return "\n".join("  ".join(text).rstrip() for text in texts)


def table(header: Sequence[str], rows: Iterable[Sequence]) -> Table:
    """Return a table to show as the last value of a cell.

    Args:
        header: names of the columns.
        rows: cells; what is no text is shown as `str` shows it, so round
            numbers by a format.

    Raises:
        ValueError: a row that is longer or shorter than the header.
    """
    lines = tuple(tuple(map(str, row)) for row in rows)
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"each row must have {len(header)} cells")
    return Table(tuple(map(str, header)), lines)


# book/appendix/figures.md, section "The map"
def draw_map(
    ax, values, goal: int | None = None, bar: str = "", **look
):
    """Draw one number per free cell of the map of the theory part.

    Args:
        ax: axes of matplotlib.
        values: (S,), one per free cell, NaN for a cell left blank.
        goal: cell to mark with a star.
        bar: what the colours count; no colour bar when left out.
        look: for `imshow`, such as cmap, norm, vmin, vmax.

    Returns:
        The image, for a colour bar that several maps share.
    """
    from smore_lit.theory.occupancies import grid_cells, grid_picture

    image = ax.imshow(grid_picture(values), **{"cmap": "Oranges"} | look)
    ax.set(xticks=[], yticks=[], facecolor="0.25")
    ax.grid(False)
    if goal is not None:
        row, column = grid_cells()[goal]
        ax.plot(column, row, "*", ms=11, color=COLOURS["wgcsl"], mec="k")
    if bar:
        ax.figure.colorbar(image, ax=ax, label=bar, shrink=0.8)
    return image


# book/appendix/figures.md, section "Pictures to play with"
PLAY = """<div id="{name}">
{sliders}
<img alt="{alt}" style="max-width: 100%; background: white">
<script>
(() => {{
  const box = document.getElementById("{name}");
  const frames = {frames};
  const inputs = [...box.querySelectorAll("input")];
  const show = () => {{
    for (const i of inputs) {{
      i.nextElementSibling.textContent = i.dataset.values.split(" ")[i.value];
    }}
    box.querySelector("img").src = "data:image/png;base64,"
      + frames[inputs.map((i) => i.value).join("-")];
  }};
  for (const i of inputs) i.addEventListener("input", show);
  show();
}})();
</script></div>"""
SLIDER = (
    '<label style="display: block">{title} <input type="range" min="0"'
    ' max="{last}" value="{middle}" data-values="{values}"> <span></span>'
    "</label>"
)


class Frames(NamedTuple):
    """Show precomputed pictures and the sliders that choose one."""

    page: str

    def _repr_html_(self) -> str:
        return self.page


# book/appendix/figures.md, section "Pictures to play with"
def play_frames(name: str, alt: str, draw: Callable, **choices) -> Frames:
    """Draw a figure for every combination of values; show them by sliders.

    Args:
        name: identifier of the picture on its page.
        alt: what the picture shows, for who cannot see it.
        draw: (**values) -> figure of matplotlib, which is then closed.
        choices: for each argument of `draw`, its values.
    """
    import matplotlib.pyplot as plt

    frames, sliders = {}, []
    for title, values in choices.items():
        sliders.append(
            SLIDER.format(
                title=html.escape(title),
                last=len(values) - 1,
                middle=len(values) // 2,
                values=" ".join(map(str, values)),
            )
        )
    places = [range(len(values)) for values in choices.values()]
    for place in itertools.product(*places):
        chosen = zip(choices, place)
        figure = draw(**{title: choices[title][k] for title, k in chosen})
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        plt.close(figure)
        data = base64.b64encode(buffer.getvalue()).decode()
        frames["-".join(map(str, place))] = data
    page = PLAY.format(
        name=name,
        alt=html.escape(alt),
        sliders="\n".join(sliders),
        frames=frames,
    )
    return Frames(page)
