# Generated from book/worlds/pictures.md by make sync. Edit the chapter, not this file.
"""Films: watch an episode anywhere.

A rendered film where the machine can draw, a stick figure where it cannot.
"""

__all__ = [
    "SIZE",
    "CENTRE",
    "WIDTH",
    "project",
    "find_limbs",
    "draw_stick",
    "BOARD",
    "draw_goals",
    "choose_drawing",
    "open_camera",
    "record",
    "save_gif",
    "save_mp4",
]


# book/worlds/pictures.md, section "Films: watch an episode anywhere"
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from smore_lit.worlds.tasks import Task, has_egl, load_task
from smore_lit.running.files import as_path, as_whole, write_atomic


# book/worlds/pictures.md, section "The arm as a drawing"
SIZE = 320  # pixels, width and height of a frame
CENTRE = (1.1, 0.75, 0.65)  # metres, what the drawing looks at
WIDTH = 1.7  # metres across the drawing


def project(points) -> np.ndarray:
    """Return the pixels (..., 2) of points (..., 3) in metres.

    Source: orthographic projection, seen from azimuth 132, elevation -14
    degrees, the default camera of the Fetch environments.
    """
    alpha, beta = np.deg2rad([132.0, -14.0])
    across = [np.sin(alpha), -np.cos(alpha), 0.0]
    up = [-np.sin(beta) * np.cos(alpha), -np.sin(beta) * np.sin(alpha)]
    axes = np.array([across, [*up, np.cos(beta)]])
    flat = (np.asarray(points) - CENTRE) @ axes.T
    return SIZE / 2 + flat * [SIZE / WIDTH, -SIZE / WIDTH]


def find_limbs(model) -> list[tuple[int, int]]:
    """Return the (child, parent) bodies of the robot's moving tree."""
    arm = []
    for body in range(1, model.nbody):
        parent = int(model.body_parentid[body])
        if parent and model.body(body).name.startswith("robot0:"):
            arm.append((body, parent))
    return arm


# book/worlds/pictures.md, section "The arm as a drawing"
def draw_stick(env, achieved, desired) -> np.ndarray:
    """Return a picture (SIZE, SIZE, 3), uint8, of the arm as lines.

    Args:
        env: a Fetch environment, after reset.
        achieved: gripper position (3,), metres.
        desired: goal position (3,), metres.
    """
    from PIL import Image, ImageDraw

    model, data = env.unwrapped.model, env.unwrapped.data
    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    floor = [(x, y, 0.42) for x, y in BOARD]
    pen.polygon([tuple(p) for p in project(floor)], "#eeeeee")
    for child, parent in find_limbs(model):
        ends = project(data.xpos[[parent, child]])
        pen.line([tuple(p) for p in ends], "#4477aa", 5)
    shadow = project([*desired[:2], 0.42])
    mark = project(desired)
    pen.line([tuple(shadow), tuple(mark)], "#ddaaaa", 1)
    for place, radius, colour in ((desired, 9, "#cc3311"),
                                  (achieved, 5, "#000000")):
        x, y = project(place)
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, outline=colour, width=3)
    return np.asarray(image)


BOARD = ((1.05, 0.4), (1.55, 0.4), (1.55, 1.1), (1.05, 1.1))  # the table


# book/worlds/pictures.md, section "The arm as a drawing"
def draw_goals(achieved, desired, scale: float) -> np.ndarray:
    """Return a picture (SIZE, SIZE, 3), uint8, of two goals as circles.

    Args:
        achieved, desired: goals (G,); the first two numbers are drawn.
        scale: half the width of the picture, in units of the goal; the
            desired goal lies in the middle.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    off = np.zeros(2)
    off[: len(desired[:2])] = (np.asarray(achieved) - desired)[:2]
    place = (1 + np.clip(off / scale, -1, 1) * [1, -1]) * SIZE / 2
    for (x, y), radius, colour in ((np.full(2, SIZE / 2), 9, "#cc3311"),
                                   (place, 5, "#000000")):
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, outline=colour, width=3)
    return np.asarray(image)


def choose_drawing(env, state) -> Callable:
    """Return the painter (achieved, desired) -> picture of an episode.

    Args:
        env: after reset.
        state: what it returned.
    """
    if hasattr(env.unwrapped, "_model_names") and find_limbs(
        env.unwrapped.model
    ) and len(state["desired_goal"]) == 3:
        return lambda *goals: draw_stick(env, *goals)
    away = np.abs(state["achieved_goal"] - state["desired_goal"])[:2].max()
    scale = 1.5 * away or 1.0
    return lambda achieved, desired: draw_goals(achieved, desired, scale)


# book/worlds/pictures.md, section "Film it"
def open_camera(task: Task, drawing: bool | None):
    """Return (environment, painter), the painter None for a drawing.

    Args:
        task: what to film.
        drawing: True for the drawing, False for the rendered scene, None
            for whichever this machine can do.

    Raises:
        OSError: a rendered scene was insisted on and cannot be had.
    """
    if drawing is not True:
        try:
            if not has_egl():
                raise OSError("no EGL library found")
            env = task.make(render_mode="rgb_array")
            env.reset(seed=0)
            if env.render() is None:
                raise OSError("its world draws no picture")
            return env, lambda *goals: env.render()
        except Exception as error:
            if drawing is False:
                raise OSError(f"cannot render here ({error})") from None
    return task.make(), None


# book/worlds/pictures.md, section "Film it"
def record(
    task: Task | str, act: Callable, seed: int, drawing: bool | None = None
) -> list[np.ndarray]:
    """Film one episode.

    Args:
        task: what to play.
        act: (observation (O,), goal (G,)) -> action (A,).
        seed: what the environment is reset with.
        drawing: see `open_camera`.

    Returns:
        T + 1 pictures (H, W, 3), uint8.

    Raises:
        OSError: a rendered scene was insisted on and cannot be had.
    """
    task, seed = load_task(task), as_whole("seed", seed)
    env, paint = open_camera(task, drawing)
    state, _ = env.reset(seed=seed)
    paint = paint or choose_drawing(env, state)
    frames = [paint(state["achieved_goal"], state["desired_goal"])]
    ended = False
    for _ in range(task.horizon):
        if not ended:
            action = act(state["observation"], state["desired_goal"])
            action = np.asarray(action, np.float32)
            state, _, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
            frame = paint(state["achieved_goal"], state["desired_goal"])
        frames.append(frame)
    env.close()
    return frames


# book/worlds/pictures.md, section "Save it"
def save_gif(frames: list[np.ndarray], path, fps: int = 25) -> Path:
    """Write frames (H, W, 3) as an endless GIF and return its path.

    Raises:
        ValueError: there are no frames.
        OSError: the file cannot be written.
    """
    from PIL import Image

    if not len(frames):
        raise ValueError("no frames to save: record an episode first")
    octree = Image.Quantize.FASTOCTREE  # median cut loses the small red goal
    images = [Image.fromarray(f).quantize(64, octree) for f in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "GIF", save_all=True, append_images=images[1:],
        duration=round(1000 / fps), loop=0,
    )
    write_atomic(path, buffer.getvalue())
    return as_path(path)


# book/worlds/pictures.md, section "Save it"
def save_mp4(frames: list[np.ndarray], path, fps: int = 25) -> Path:
    """Write frames (H, W, 3) as an MP4 film and return its path.

    Raises:
        ValueError: there are no frames, or no encoder is installed.
        OSError: the file cannot be written.
    """
    if not len(frames):
        raise ValueError("no frames to save: record an episode first")
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ValueError(
            "MP4 needs an encoder: pip install imageio-ffmpeg, or save a GIF"
        )
    import imageio.v2

    data = imageio.v2.mimwrite(
        imageio.RETURN_BYTES, frames, format="mp4", fps=fps
    )
    write_atomic(path, data)
    return as_path(path)
