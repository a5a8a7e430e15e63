# Generated from book/appendix/figures.md by make sync. Edit the chapter, not this file.
"""Draw every figure alike.

One size, one font, and one colour per algorithm in the whole book, apart for
colour-blind readers too.
"""

__all__ = ["COLOURS", "STYLE", "use_style"]


# book/appendix/figures.md, section "One colour per algorithm"
COLOURS: dict[str, str] = {
    "smore": "#d25a00",
    "gofar": "#1e87a5",
    "wgcsl": "#0000ff",
    "gcsl": "#5ae1ff",
    "bc": "#004b00",
    "crl": "#a578ff",
    "am": "#4b00b4",
    "iql": "#e13c5a",
    "sql": "#ffc300",
    "eql": "#ffc387",
    "xql": "#4b2d87",
    "expert": "#5a5a5a",
    "random": "#a5a5a5",
    "paper": "#000000",
}


# book/appendix/figures.md, section "One colour per algorithm"
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
}


def use_style() -> None:
    """Set size, font and colours of all figures drawn from here on."""
    import matplotlib as mpl
    from matplotlib.rcsetup import cycler

    mpl.rcParams.update(STYLE)
    cycle = cycler(color=list(COLOURS.values()))
    mpl.rcParams["axes.prop_cycle"] = cycle
