"""Film the experts that the book shows.

    python benchmarks/expert_films.py [--task NAME ...] [--size 200]

Plays a few episodes of each expert without noise and writes them, joined, to
book/_static/TASK_expert.gif. Needs a machine that can render; a drawing
would be no picture of most of these worlds.
"""

import argparse
from pathlib import Path

import numpy as np

from smore_lit.worlds.experts import expert
from smore_lit.worlds.pictures import record, save_gif
from smore_lit.worlds.tasks import load_task

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
LIMIT = 400_000  # bytes of a film
SHOWN = {  # task: episodes shown, their steps, window (left, top, side)
    "FetchReach": ((3, 4, 5), 20, (90, 90, 340)),
    "FetchPush": ((3, 4, 7), 32, (90, 90, 340)),
    "FetchPick": ((1, 4, 5), 32, (90, 90, 340)),
    "FetchSlide": ((0, 2, 7), 44, (50, 70, 410)),
    "HandReach": ((1, 2, 4, 7), 16, (60, 60, 380)),
    "Reacher": ((1, 2, 3, 4), 30, (40, 70, 400)),
}


def shrink(frame: np.ndarray, window, size: int) -> np.ndarray:
    """Return the window of a picture (H, W, 3), `size` by `size` pixels."""
    from PIL import Image

    left, top, side = window
    part = Image.fromarray(frame[top : top + side, left : left + side])
    return np.asarray(part.resize((size, size), Image.Resampling.BOX))


def film(name: str, size: int) -> Path:
    """Film the expert of a task; return the path of the GIF.

    Raises:
        OSError: this machine cannot render.
        ValueError: the film is larger than LIMIT.
    """
    task = load_task(name)
    seeds, steps, window = SHOWN[name]
    frames = []
    for seed in seeds:
        act = expert(task)(np.random.default_rng([1, seed]))
        shots = record(task, act, seed, drawing=False)[: steps + 1]
        frames += [shrink(shot, window, size) for shot in shots]
    path = save_gif(frames, STATIC / f"{name.lower()}_expert.gif", fps=20)
    if path.stat().st_size > LIMIT:
        raise ValueError(f"{path.name} is too large: choose a smaller --size")
    return path


def main() -> None:
    """Film the chosen experts one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", action="append", choices=SHOWN)
    parser.add_argument("--size", type=int, default=200)
    options = parser.parse_args()
    for name in options.task or SHOWN:
        path = film(name, options.size)
        print(f"{path.name} {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
