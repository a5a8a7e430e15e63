# Generated from book/worlds/pushing.md by make sync. Edit the chapter, not this file.
"""FetchPush, FetchPick, FetchSlide: push, lift and strike.

Three scripted experts for three tasks with an object: one steers it, one grips
it, and one strikes it and lets go.
"""

__all__ = [
    "OBJECT",
    "OBJECT_MOTION",
    "WITH_OBJECT",
    "GRASP",
    "OBJECT_START",
    "PUSH_WORDS",
    "FETCH_PUSH",
    "FETCH_PICK",
    "FETCH_SLIDE",
    "FAMILY",
    "DELTA",
    "STEP",
    "GAIN",
    "command",
    "measure",
    "go_behind",
    "PushExpert",
    "PushPhases",
    "Push",
    "PickExpert",
    "BRAKE",
    "DRAG",
    "glide",
    "launch",
    "FLAT",
    "SLOW",
    "choose_side",
    "corner_features",
    "flat_features",
    "load_strikes",
    "strike_features",
    "choose_strike",
    "SlideExpert",
    "SlidePhases",
    "SlideStand",
    "SlideWays",
    "SlideBlows",
    "Slide",
]


# book/worlds/pushing.md, section "FetchPush, FetchPick, FetchSlide: push, lift and strike"
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from math import atan2, copysign, cos, hypot, sin, sqrt

import numpy as np

from smore_lit.worlds.tasks import (
    BLOCKED,
    FETCH_DIFFERENCES,
    FETCH_HISTORY,
    FETCH_REACH,
    FINGERS,
    GRIPPER,
    MOVE,
    SPEEDS,
    Reference,
)


# book/worlds/pushing.md, section "The tasks in numbers"
OBJECT = (
    (3, "object position", "m"),
    (3, "object position minus gripper position", "m"),
)
OBJECT_MOTION = (
    (3, "object orientation, Euler angles", "rad"),
    (3, "object velocity minus gripper velocity, x 0.04 s", "m"),
    (3, "object angular velocity x 0.04 s", "rad"),
)
WITH_OBJECT = GRIPPER + OBJECT + FINGERS + OBJECT_MOTION + SPEEDS
GRASP = (*MOVE, (1, "fingers opened by 0.05 m, -1 closes", "m"))
OBJECT_START = (
    "object at gripper xy + U(-{0}, {0})^2, redrawn while within 0.1 m; "
    "arm always at the same place, {1}"
)


# book/worlds/pushing.md, section "The tasks in numbers"
PUSH_WORDS = Reference(
    observation=WITH_OBJECT,
    action=BLOCKED,
    goal="initial gripper xy + U(-0.15, 0.15)^2, on the table",
    start=OBJECT_START.format(0.15, "low over the table"),
    history=FETCH_HISTORY,
    differences=FETCH_DIFFERENCES,
)
FETCH_PUSH = replace(
    FETCH_REACH,
    name="FetchPush",
    env_id="FetchPush-v4",
    observation_size=25,
    goal_index=(3, 4, 5),
    source="Plappert et al. 2018; gymnasium-robotics FetchPush-v4",
    expert="smore_lit.worlds.pushing:PushExpert",
    paper_episodes=40_000,
    cpu_episodes=8_000,
    reference=PUSH_WORDS,
)


# book/worlds/pushing.md, section "The tasks in numbers"
FETCH_PICK = replace(
    FETCH_PUSH,
    name="FetchPick",
    env_id="FetchPickAndPlace-v4",
    source="Plappert et al. 2018; gymnasium-robotics FetchPickAndPlace-v4",
    expert="smore_lit.worlds.pushing:PickExpert",
    reference=replace(
        PUSH_WORDS,
        action=GRASP,
        goal="initial gripper xy + U(-0.15, 0.15)^2, on the table; with "
        "probability 0.5 raised by U(0, 0.45)",
        start=OBJECT_START.format(0.15, "0.11 m over the block"),
    ),
)
FETCH_SLIDE = replace(
    FETCH_PUSH,
    name="FetchSlide",
    env_id="FetchSlide-v4",
    source="Plappert et al. 2018; gymnasium-robotics FetchSlide-v4",
    expert="smore_lit.worlds.pushing:SlideExpert",
    reference=replace(
        PUSH_WORDS,
        goal="initial gripper xy + (0.4, 0) + U(-0.3, 0.3)^2, on the table",
        start=OBJECT_START.format(0.1, "low over the table"),
    ),
)
FAMILY = (FETCH_PUSH, FETCH_PICK, FETCH_SLIDE)


# book/worlds/pushing.md, section "What the three experts share"
DELTA = 0.05  # metres of command per unit of action
STEP = 0.04  # seconds per action
GAIN = 1.5  # commands that arrive in one step, 1 / 0.65


def command(x, y, z, fingers=0.0) -> np.ndarray:
    """Return the action (4,) that moves the gripper by metres x, y, z."""
    k = GAIN / DELTA
    return np.array([k * x, k * y, k * z, fingers]).clip(-1, 1)


def measure(observation):
    """Return gripper xyz, object xy from it, and object velocity in m/s."""
    o = observation.tolist()
    ahead = o[3] - o[0], o[4] - o[1]
    return o[:3], ahead, ((o[14] + o[20]) / STEP, (o[15] + o[21]) / STEP)


# book/worlds/pushing.md, section "What the three experts share"
def go_behind(height, ahead, heading, reach, low, high, margin):
    """Return the move to a place behind the object, and the way left.

    Args:
        height: of the gripper, metres.
        ahead: object from the gripper, (x, y) in metres.
        heading: unit vector along which the object will move.
        reach: how far behind the object to stand.
        low: height to work at.
        high: height at which to cross.
        margin: how close the way may pass the object at work height.
    """
    rx, ry = ahead
    mx, my = rx - reach * heading[0], ry - reach * heading[1]
    left = hypot(mx, my)
    share = min(max((rx * mx + ry * my) / max(left**2, 1e-9), 0.0), 1.0)
    level = low
    if left > 0.03 and hypot(rx - share * mx, ry - share * my) < margin:
        level = high
        if height < high - 0.015 and hypot(rx, ry) < margin + 0.025:
            mx = my = 0.0
    return (mx, my, level - height), left


# book/worlds/pushing.md, section "Push: steer while it moves"
@dataclass(frozen=True)
class PushExpert:
    """Stand behind the block, push it along a line, and step away."""

    reach: float = 0.06  # metres behind the block
    low: float = 0.425
    high: float = 0.48
    steer: float = 1.5  # lambda
    stop: float = 0.015  # metres left, coasting counted, to stop at
    redo: float = 0.035  # metres off at which to begin again

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return Push(self)


# book/worlds/pushing.md, section "Push: steer while it moves"
class PushPhases:
    """Keep the phase of one episode of `PushExpert`."""

    def __init__(self, expert: PushExpert):
        self.expert, self.phase = expert, "approach"

    def change(self, left, forward, along, side):
        """Move to another phase where metres `left`, ... call for it."""
        e = self.expert
        if self.phase == "push":
            if forward < e.stop:
                self.phase = "rest"
            elif along < 0.015 or side > 0.03:
                self.phase = "approach"
        elif left < e.stop:
            self.phase = "rest"
        elif self.phase == "rest" and left > e.redo:
            self.phase = "approach"


# book/worlds/pushing.md, section "Push: steer while it moves"
class Push(PushPhases):
    """Play one episode for `PushExpert`; `phase` says what it is at."""

    def __call__(self, observation, goal):
        """Return the action for one observation and goal."""
        grip, (rx, ry), (vx, vy) = measure(observation)
        gx, gy = (goal[:2] - observation[3:5]).tolist()
        far = max(hypot(gx, gy), 1e-6)
        u = gx / far, gy / far
        hx, hy = gx - STEP * vx, gy - STEP * vy  # left once it has coasted
        forward = hx * u[0] + hy * u[1]
        along = rx * u[0] + ry * u[1]
        side = rx - along * u[0], ry - along * u[1]
        self.change(hypot(hx, hy), forward, along, hypot(*side))
        e = self.expert
        if self.phase == "rest":
            close = hypot(rx, ry) < 0.07 and grip[2] < 0.46 and along > 0
            back = -0.5 * DELTA / GAIN * close
            return command(back * u[0], back * u[1], e.high - grip[2])
        if self.phase == "approach":
            move, left = go_behind(
                grip[2], (rx, ry), u, e.reach, e.low, e.high, 0.05
            )
            down = grip[2] < e.low + 0.02
            if not (left < 0.03 and hypot(*side) < 0.012 and down):
                return command(*move)
            self.phase = "push"
        f = min(1.0, max(forward / 0.033, 0.15))
        x, y = (f * u[i] + e.steer * side[i] / DELTA for i in (0, 1))
        scale = DELTA / GAIN / max(abs(x), abs(y), 1.0)
        return command(scale * x, scale * y, e.low - grip[2])


# book/worlds/pushing.md, section "Pick: one rule, no memory"
@dataclass(frozen=True)
class PickExpert:
    """Open above the block, go down, close, carry; all read off the state."""

    above: float = 0.055  # metres above the block to come over it
    across: float = 0.03  # between the fingers: |x| below this,
    between: float = 0.022  # |y| below this,
    deep: float = 0.03  # and |z| below this
    closed: float = 0.0275  # finger opening that means a hold
    lift: float = 0.435  # metres of height to carry at

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return self.act

    def act(self, observation, goal):
        """Return the action for one observation and goal."""
        x, y, z = observation[6:9].tolist()
        if abs(x) < self.across and abs(y) < self.between:
            if abs(z) >= self.deep:
                return command(x, y, z, 1.0)
            if observation[9:11].mean() >= self.closed:
                return command(x, y, z, -1.0)
            gx, gy, gz = (goal - observation[3:6]).tolist()
            if hypot(gx, gy) > 0.03:
                gz = max(gz, self.lift - float(observation[5]))
            return command(gx, gy, gz, -1.0)
        if z > -0.043 and hypot(x, y) < 0.07:
            x = y = 0.0
        return command(x, y, z + self.above, 1.0)


# book/worlds/pushing.md, section "Slide: how this puck glides"
BRAKE = 1.281  # m, m/s^2, in the place of mu g
DRAG = 0.1474  # tau, seconds


def glide(x, y):
    """Return where a puck of velocity (x, y), m/s, comes to rest (metres)."""
    fast, slow = max(abs(x), abs(y)), min(abs(x), abs(y))
    far = (fast**2 + slow**2) / (2 * BRAKE) + DRAG * fast
    near = fast * slow / BRAKE + DRAG * slow
    if abs(x) < abs(y):
        far, near = near, far
    return copysign(far, x), copysign(near, y)


def launch(x, y):
    """Return the velocity, m/s, whose glide is (x, y) metres."""

    def speed(way):
        return BRAKE * (sqrt(DRAG**2 + 2 * way / BRAKE) - DRAG)

    total, rest = abs(x) + abs(y), abs(abs(x) - abs(y))
    fast = (speed(total) + speed(rest)) / 2
    slow = (speed(total) - speed(rest)) / 2
    if abs(x) < abs(y):
        fast, slow = slow, fast
    return copysign(fast, x), copysign(slow, y)


# book/worlds/pushing.md, section "What a strike does"
FLAT = 0.3  # radians: launches nearer the x axis are struck flat
SLOW = 0.35  # m/s: unless they are slower than this


def choose_side(angle, speed) -> int:
    """Return which finger strikes flat, 1 or -1 in y, or 0 for a corner.

    Args:
        angle: direction of the launch, radians.
        speed: of the launch, m/s.
    """
    if abs(angle) > FLAT or speed < SLOW:
        return 0
    return 1 if angle >= 0 else -1


# book/worlds/pushing.md, section "What a strike does"
def corner_features(angle, speed):
    """Return features of a corner strike's turn (13,) and size (16,).

    Args:
        angle: direction of the launch, radians.
        speed: of the launch, m/s.
    """
    powers = 1.0, speed, speed**2
    turn = [sin(4 * k * angle) * p for k in (1, 2, 3) for p in powers]
    turn += [sin(2 * angle), cos(angle), sin(angle), 1.0]
    much = [cos(4 * k * angle) * p for k in (0, 1, 2, 3) for p in powers]
    much += [cos(2 * angle) * speed, speed**3]
    much += [sin(angle) * speed, cos(angle) * speed]
    return turn, much


def flat_features(angle, speed, side):
    """Return features of a flat strike's turn (14,) and size (14,).

    The turn's are odd in `side` and `angle` together, the size's even, but
    for two of each that let the fingers differ.
    """
    out = angle * side
    both = [out**k * speed**p for k in range(4) for p in range(3)]
    turn = [side * f for f in both] + [1.0, out]
    return turn, both + [side, side * out]


# book/worlds/pushing.md, section "What a strike does"
@functools.cache
def load_strikes() -> dict:
    """Return the fitted coefficients by kind and part of a strike."""
    path = files("smore_lit") / "assets" / "FetchSlide" / "strikes.json"
    return json.loads(path.read_text())


def strike_features(angle, speed, side):
    """Return the features of a strike's turn and of its size."""
    if side:
        return flat_features(angle, speed, side)
    return corner_features(angle, speed)


def choose_strike(x, y) -> tuple[float, float, int]:
    """Return (angle, size, side) of the strike that sends by (x, y)."""
    vx, vy = launch(x, y)
    angle, speed = atan2(vy, vx), hypot(vx, vy)
    side = choose_side(angle, speed)
    kind, parts = "flat" if side else "corner", ("turn", "size")
    tables = [load_strikes()[f"{kind}_{part}"] for part in parts]
    pairs = zip(tables, strike_features(angle, speed, side))
    turn, size = (sum(c * f for c, f in zip(*pair)) for pair in pairs)
    return angle + turn, min(max(size, 0.1), 1.41), side


# book/worlds/pushing.md, section "Slide: strike far, push near"
@dataclass(frozen=True)
class SlideExpert:
    """Strike the puck by the fitted map, and push what fell short."""

    strike: tuple | None = None  # always this (angle, size, side), to fit
    low: float = 0.42
    high: float = 0.47
    touch: float = 0.04  # metres from puck to gripper where they meet
    face: tuple = (0.0385, 0.0087)  # x and y of the same, struck flat
    run: float = 0.056  # metres before that, per size of the strike
    reach: float = 0.06  # metres behind the puck for a push
    near: float = 0.07  # metres below which to push
    kick: float = 0.72  # speed of a push over that of the puck it meets
    stop: float = 0.015  # metres left, glide counted, to stop at
    redo: float = 0.042  # metres off at which to begin again
    slow: float = 0.15  # m/s at which to begin again
    edge: float = 1.36  # x that the arm still works at
    place: float = 0.003  # metres off the place behind that will do
    still: float = 0.025  # m/s that count as standing

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return Slide(self)


# book/worlds/pushing.md, section "Slide: strike far, push near"
class SlidePhases:
    """Choose phases for `SlideExpert`."""

    def change(self, left, end, ahead, v):
        """Move to another phase where the puck's state calls for it."""
        e, r = self.expert, hypot(*ahead)
        if self.phase == "strike":
            self.count += 1
            gone = self.count > 2 and hypot(*v) > 0.05 and r > 0.056
            if self.count > 7 or gone:
                self.phase = "rest"
        elif self.phase == "push":
            if r > 0.12:
                self.phase, self.count = "approach", 0
        elif left < e.stop:
            self.phase = "rest"
        elif self.phase == "rest" and e.strike is None:
            if left > e.redo and hypot(*v) < e.slow and end < e.edge:
                self.phase, self.count = "approach", 0


# book/worlds/pushing.md, section "Slide: strike far, push near"
class SlideStand(SlidePhases):
    """Choose a blow and where to stand for it."""

    def stand(self, gap):
        """Choose the blow for `gap`; return heading and metres behind."""
        e, strike = self.expert, self.expert.strike
        if strike is None and hypot(*gap) > e.near:
            strike = choose_strike(*gap)
        if not strike:
            vx, vy = launch(*gap)
            self.blow, far = None, max(hypot(vx, vy), 1e-6)
            return (vx / far, vy / far), e.reach
        angle, size, side = strike
        u = cos(angle), sin(angle)
        self.blow = size * u[0], size * u[1]
        self.meet = e.touch * u[0], e.touch * u[1]
        if side:
            self.meet = e.face[0], side * e.face[1]
        way = [m + e.run * b for m, b in zip(self.meet, self.blow)]
        return (way[0] / hypot(*way), way[1] / hypot(*way)), hypot(*way)


# book/worlds/pushing.md, section "Slide: strike far, push near"
class SlideWays(SlideStand):
    """Find ways to the puck."""

    def approach(self, height, ahead, gap, speed):
        """Return the way behind a puck that will rest at `ahead`."""
        e = self.expert
        u, reach = self.stand(gap)
        move, left = go_behind(
            height, ahead, u, reach, e.low, e.high, 0.055
        )
        self.count += left < 0.03
        ease = 1 + max(self.count / 5, 1.5 * (self.count - 3))
        if self.blow:
            good = left < e.place * ease and speed < e.still * ease
        else:
            good = left < 0.006 * ease
        if good and height < e.low + 0.006 * ease:
            self.phase, self.count = "strike" if self.blow else "push", 0
        far = max(abs(move[0]), abs(move[1])) * GAIN / DELTA
        x, y = move[0] / max(far, 1.0), move[1] / max(far, 1.0)
        return command(x, y, move[2])


# book/worlds/pushing.md, section "Slide: strike far, push near"
class SlideBlows(SlideWays):
    """Make the blows of `SlideExpert`."""

    def hit(self, lift, ahead, met):
        """Return the strike, led back to its line before it has `met`."""
        bx, by = self.blow
        size = max(hypot(bx, by), 1e-6)
        x, y = ahead[0] - self.meet[0], ahead[1] - self.meet[1]
        off = (y * bx - x * by) / size
        if met or abs(off) < 0.006:
            off = 0.0
        action = command(-GAIN * off * by / size, GAIN * off * bx / size, lift)
        action[:2] += self.blow
        return action.clip(-1, 1)

    def push(self, height, ahead, gap, left):
        """Return the push that lets go when the glide will do the rest."""
        e, (vx, vy) = self.expert, launch(*gap)
        need = max(hypot(vx, vy), 1e-6)
        u = vx / need, vy / need
        along = ahead[0] * u[0] + ahead[1] * u[1]
        side = ahead[0] - along * u[0], ahead[1] - along * u[1]
        if left[0] * u[0] + left[1] * u[1] < e.stop:
            self.phase = "rest"
        elif along < 0.01 or hypot(*side) > 0.03:
            self.phase, self.count = "approach", 0
        f = min(1.0, max(e.kick * need * STEP / 0.033, 0.2))
        x, y = (f * u[i] + 1.5 * side[i] / DELTA for i in (0, 1))
        scale = DELTA / GAIN / max(abs(x), abs(y), 1.0)
        scale *= self.phase == "push"
        return command(scale * x, scale * y, e.low - height)


# book/worlds/pushing.md, section "Slide: strike far, push near"
class Slide(SlideBlows):
    """Play one episode for `SlideExpert`; `phase` says what it is at."""

    def __init__(self, expert: SlideExpert):
        self.expert, self.phase = expert, "approach"
        self.count, self.blow = 0, None

    def __call__(self, observation, goal):
        """Return the action for one observation and goal."""
        e, (grip, ahead, v) = self.expert, measure(observation)
        if hypot(*v) < 0.04:
            v = 0.0, 0.0
        gap = (goal[:2] - observation[3:5]).tolist()
        rest = glide(*v)
        left = gap[0] - rest[0], gap[1] - rest[1]
        self.change(hypot(*left), float(observation[3]) + rest[0], ahead, v)
        if self.phase == "approach":
            speed = float(np.linalg.norm(observation[20:23])) / STEP
            later = ahead[0] + rest[0], ahead[1] + rest[1]
            move = self.approach(grip[2], later, left, speed)
            if hypot(*v) > 0.1 and hypot(*ahead) < 0.08:
                move[:2] = 0.0  # out of the way of a moving puck
                move[2] = 1.0
            if self.phase != "strike":
                return move
        if self.phase == "push":
            return self.push(grip[2], ahead, gap, left)
        if self.phase == "strike":
            return self.hit(e.low - grip[2], ahead, hypot(*v) > 0.05)
        r = max(hypot(*ahead), 1e-6)
        back = -0.5 * DELTA / GAIN / r * (r < 0.08)
        return command(back * ahead[0], back * ahead[1], e.high - grip[2])
