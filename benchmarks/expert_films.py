"""Film the experts that the book shows.

    python benchmarks/expert_films.py [--task NAME ...] [--size 200]
    python benchmarks/expert_films.py --robot ant --size 130 [--policy FOLDER]

The first plays a few episodes of each expert without noise and writes them,
joined, to book/_static/TASK_expert.gif. The second shows the runners of a
robot side by side from their sixth second on, and last the policy of a run
if a folder is given, and writes book/_static/ROBOT.gif. Needs a machine that
can render; a drawing would be no picture of most of these worlds.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from smore_lit.learning.policies import load_policy
from smore_lit.worlds.experts import expert, random_policy
from smore_lit.worlds.locomotion import TASKS, Runner
from smore_lit.worlds.pictures import record, save_gif
from smore_lit.worlds.tasks import load_task

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
LIMIT = 400_000  # bytes of a film
START = 100  # steps of a runner before the film
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
    return save_small(frames, f"{name.lower()}_expert.gif")


def save_small(frames: list[np.ndarray], name: str) -> Path:
    """Write a film for the book; ValueError if it is larger than LIMIT."""
    path = save_gif(frames, STATIC / name, fps=20)
    if path.stat().st_size > LIMIT:
        raise ValueError(f"{path.name} is too large: choose a smaller --size")
    return path


def film_runners(robot: str, size: int, folder: Path | None) -> Path:
    """Film the runners of a robot; return the path of the GIF.

    Raises:
        OSError: this machine cannot render.
        ValueError: the film is larger than LIMIT.
    """
    task, rng = TASKS[robot], np.random.default_rng(1)
    acts = [random_policy(task)(rng)]
    acts += [Runner(robot, name)(rng) for name in ("medium", "expert")]
    if folder is not None:
        acts.append(load_policy(folder).one())
    shown = replace(task, horizon=START + 30)
    films = [record(shown, act, 1, drawing=False)[START:] for act in acts]
    frames = [
        np.hstack([shrink(shot, (20, 40, 440), size) for shot in shots])
        for shots in zip(*films)
    ]
    return save_small(frames, f"{robot}.gif")


def main() -> None:
    """Film the chosen experts one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", action="append", choices=SHOWN)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--robot", choices=TASKS)
    parser.add_argument("--policy", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.robot:
        path = film_runners(options.robot, options.size, options.policy)
        print(f"{path.name} {path.stat().st_size / 1000:.0f} kB")
        return
    for name in options.task or SHOWN:
        path = film(name, options.size)
        print(f"{path.name} {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
