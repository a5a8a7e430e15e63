# Generated from book/planning/cartpole.md by make sync. Edit the chapter, not this file.
"""Cart-pole: swing up with a model that was seen in a box.

The pole is to be swung up by a model that was learned in a narrow box of
states; a plan that leaves the box is planned with fiction.
"""

__all__ = [
    "CART",
    "POLE",
    "LENGTH",
    "GRAVITY",
    "STEP",
    "accelerate",
    "step_cartpole",
    "CART_POLE",
    "run_cartpole",
    "Box",
    "PI",
    "NARROW",
    "WIDE",
    "record_cartpole",
    "UPRIGHT",
    "WEIGHTS",
    "swing_cost",
    "LOOSE",
    "CLOSE",
    "SCORE",
    "SeenInABox",
    "CartPole",
    "draw_cartpole",
]


# book/planning/cartpole.md, section "Cart-pole: swing up with a model that was seen in a box"
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from smore_lit.planning.offline import (
    Attempt,
    Method,
    OfflinePlanner,
    fit_planner,
    plan_offline,
)
from smore_lit.planning.planners import Descent
from smore_lit.planning.search import Search


# book/planning/cartpole.md, section "The equations"
CART, POLE, LENGTH, GRAVITY = 10.0, 1.0, 0.5, 9.81  # kg, kg, m, m/s^2
STEP = 0.05  # seconds


def accelerate(states: Tensor, forces: Tensor) -> Tensor:
    """Return the rates of change (B, 4) of states p, theta, and their speeds.

    Args:
        states: (B, 4); theta is 0 where the pole hangs and pi where it
            stands.
        forces: on the cart, (B, 1), in newtons.

    Eq. (cartpole-equations) of this chapter.
    """
    angle, speed, turn = states[:, 1:].unbind(-1)
    sine, cosine, force = angle.sin(), angle.cos(), forces[:, 0]
    moved = CART + POLE * sine.square()
    swing = LENGTH * turn.square()
    cart = (force + POLE * sine * (swing + GRAVITY * cosine)) / moved
    weight = (CART + POLE) * GRAVITY * sine
    fall = force * cosine + POLE * swing * cosine * sine + weight
    return torch.stack((speed, turn, cart, -fall / (LENGTH * moved)), dim=-1)


def step_cartpole(states: Tensor, forces: Tensor) -> Tensor:
    """Return the states (B, 4) after 0.05 s, by one step of Runge-Kutta."""
    first = accelerate(states, forces)
    second = accelerate(states + STEP / 2 * first, forces)
    third = accelerate(states + STEP / 2 * second, forces)
    fourth = accelerate(states + STEP * third, forces)
    return states + STEP / 6 * (first + 2 * second + 2 * third + fourth)


# book/planning/cartpole.md, section "The world"
CART_POLE = """
<mujoco>
  <option timestep="0.005" integrator="RK4" gravity="0 0 -9.81"/>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <body name="cart">
      <joint name="slide" type="slide" axis="1 0 0"/>
      <inertial pos="0 0 0" mass="10" diaginertia="1 1 1"/>
      <geom type="box" size="0.15 0.1 0.05"/>
      <body name="pole">
        <joint name="hinge" type="hinge" axis="0 -1 0"/>
        <inertial pos="0 0 -0.5" mass="1" diaginertia="1e-8 1e-8 1e-8"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.5" size="0.02"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="slide"/></actuator>
</mujoco>
"""


def run_cartpole(start: Tensor, forces: Tensor) -> Tensor:
    """Return the states (T+1, 4) of MuJoCo's cart-pole.

    Args:
        start: (4,).
        forces: (T, 1), each held for 0.05 s.
    """
    import mujoco

    model = mujoco.MjModel.from_xml_string(CART_POLE)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = start[:2].numpy(), start[2:].numpy()
    states, count = [start], round(STEP / model.opt.timestep)
    for force in forces.double().numpy():
        data.ctrl[:] = force
        mujoco.mj_step(model, data, count)
        now = np.concatenate((data.qpos, data.qvel))
        states.append(torch.as_tensor(now, dtype=start.dtype))
    return torch.stack(states)


# book/planning/cartpole.md, section "The data"
class Box(NamedTuple):
    """Bound state and force: low and high, each (5,)."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def holds(self, points: Tensor) -> Tensor:
        """Tell which points (..., 4 or 5) lie inside, (...)."""
        n = points.shape[-1]
        low, high = torch.tensor(self.low[:n]), torch.tensor(self.high[:n])
        return ((points >= low) & (points <= high)).all(dim=-1)


PI = math.pi
NARROW = Box((-0.6, -PI, -2.5, -9.0, -60.0), (0.6, 1.5 * PI, 2.5, 9.0, 60.0))
WIDE = Box((-5.0, -PI, -8.0, -12.0, -80.0), (5.0, 1.5 * PI, 8.0, 12.0, 80.0))


def record_cartpole(
    box: Box, count: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw transitions that begin and end in a box.

    Args:
        box: of states and forces, drawn evenly.
        count: how many are drawn; those that end outside are dropped.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(box.low), torch.tensor(box.high)
    drawn = low + (high - low) * torch.rand(count, 5, generator=generator)
    states, forces = drawn[:, :4], drawn[:, 4:]
    after = step_cartpole(states, forces)
    kept = box.holds(after)
    return states[kept], forces[kept], after[kept]


# book/planning/cartpole.md, section "The problem"
UPRIGHT = (0.0, PI, 0.0, 0.0)
WEIGHTS = (1.0, 1.0, 0.1, 0.1)


def swing_cost(states: Tensor, forces: Tensor) -> Tensor:
    """Return how far plans (B, T+1, 4) end from standing upright, (B,)."""
    missed = states[:, -1] - states.new_tensor(UPRIGHT)
    return (missed.square() * states.new_tensor(WEIGHTS)).sum(dim=-1)


# book/planning/cartpole.md, section "The problem"
LOOSE = ("hidden", (128,) * 3), ("learning_rate", 1e-3)
CLOSE = ("hidden", (64,) * 3), ("learning_rate", 1e-2)
SCORE: dict[str, Any] = {
    "hidden": (64,) * 3, "waves": 3, "learning_rate": 1e-2,
    "batch_size": 1_024, "largest": 1.0, "smallest": 0.4,
}


@dataclass(frozen=True)
class SeenInABox:
    """Learn a cart-pole from transitions in a box."""

    box: Box = NARROW
    count: int = 400_000  # transitions drawn
    updates: int = 4_000
    model: tuple[tuple[str, Any], ...] = LOOSE

    def learn(
        self,
        seed: int,
        members: int = 1,
        updates: int | None = None,
        out: Path | str | None = None,
        progress: bool = False,
    ) -> OfflinePlanner:
        """Record transitions in the box and learn from them."""
        return fit_planner(
            *record_cartpole(self.box, self.count, seed),
            out, members, updates or self.updates, seed,
            model={"batch_size": 512} | dict(self.model),
            score=SCORE,
            progress=progress,
        )


# book/planning/cartpole.md, section "The problem"
@dataclass(frozen=True)
class CartPole(SeenInABox):
    """Swing a pole up by a plan that is carried out blindly."""

    horizon: int = 60
    name: str = "cartpole"
    method: Method = Method(
        beta=0.1,
        descent=Descent(300, 0.05, largest=1.0, smallest=0.4),
        search=Search(100, 128, 12, 0.1),
    )

    def attempt(
        self, known: OfflinePlanner, method: Method, seed: int
    ) -> list[Attempt]:
        """Plan from rest, hanging, and carry the plan out in MuJoCo."""
        start, width = torch.zeros(1, 4), known.score.spread[-1]
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, self.horizon, 1, generator=generator)
        given = known, start, 0.1 * width * noise, swing_cost, method, [seed]
        began = time.process_time()
        found = plan_offline(*given)
        seconds, actions = time.process_time() - began, found.actions[0]
        real = run_cartpole(start[0], actions)
        true = float(swing_cost(real[None], actions[None]))
        held = self.box.holds(torch.cat((real[:-1], actions), dim=-1))
        outside = float((~held).float().mean())
        dreamt, done = float(found.costs), true < 0.25
        costs = dreamt, true, outside, done, seconds
        return [Attempt("", *costs, found.states[0], real, actions)]

    def draw(self, attempt: Attempt) -> list[np.ndarray]:
        """Draw the cart as it came, and faintly as it was planned."""
        pictures = zip(attempt.planned.numpy(), attempt.real.numpy())
        return [draw_cartpole(dreamt, came) for dreamt, came in pictures]


# book/planning/cartpole.md, section "The problem"
def draw_cartpole(*states: np.ndarray, size: int = 240) -> np.ndarray:
    """Draw carts, the last one dark; (size / 2, size, 3) in bytes.

    Args:
        states: each (4,); places beyond 2 m are out of the picture.
        size: width in pixels, for 4 m.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (size, size // 2), "white")
    pen, unit = ImageDraw.Draw(image), size / 4
    for k, (place, angle, *_) in enumerate(states):
        shade = "#440154" if k == len(states) - 1 else "#b8b8b8"
        x, y = size / 2 + unit * place, size / 4
        pen.rectangle((x - 12, y - 5, x + 12, y + 5), fill=shade)
        tip = x + unit * LENGTH * math.sin(angle)
        fall = y + unit * LENGTH * math.cos(angle)
        pen.line((x, y, tip, fall), fill=shade, width=4)
        pen.ellipse((tip - 5, fall - 5, tip + 5, fall + 5), fill=shade)
    return np.asarray(image)
