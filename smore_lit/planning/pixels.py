# Generated from book/planning/pixels.md by make sync. Edit the chapter, not this file.
"""The pixel integrator: plan 15,360 pixels.

A point is drawn as a disc, an action is a picture of a disc too, and a plan is
fifteen such pictures: 15,360 numbers to choose.
"""

__all__ = [
    "SIDES",
    "WINDOW",
    "RADIUS",
    "FAINT",
    "REACH",
    "HORIZON",
    "START",
    "GOAL",
    "check_side",
    "pixel_places",
    "render",
    "decode",
    "move_points",
    "record_pixels",
    "PixelModel",
    "PixelModelLearner",
    "Convolution",
    "Residual",
    "add_planes",
    "UNet",
    "PixelScore",
    "PixelScoreLearner",
    "PixelPlanner",
    "steer_pixels",
    "MODEL",
    "REFERENCE",
    "train_networks",
    "shipped_networks",
    "choose_method",
    "Pixels",
    "calm_down",
    "plan_pictures",
    "find_strange",
    "draw_pictures",
    "HOLE",
    "HOLE_START",
    "HOLE_GOAL",
    "KernelScore",
    "Glide",
    "record_hole",
    "steer_point",
    "Hole",
    "draw_point",
]


# book/planning/pixels.md, section "The pixel integrator: plan 15,360 pixels"
import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    conv2d,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    silu,
)

from smore_lit.learning.networks import MLP, Linear
from smore_lit.planning.distances import kernel_score
from smore_lit.planning.fitting import fit
from smore_lit.planning.models import ModelConfig, ModelLearner, ModelNetwork
from smore_lit.planning.offline import (
    Attempt,
    Method,
    OfflinePlanner,
    plan_offline,
)
from smore_lit.planning.planners import Descent, roll_out
from smore_lit.planning.score_matching import (
    ScoreConfig,
    ScoreLearner,
    ScoreNetwork,
    draw_noisy,
)
from smore_lit.planning.search import Search
from smore_lit.running.checkpoints import read_checkpoint
from smore_lit.running.files import package_folder
from smore_lit.running.loop import Schedule


# book/planning/pixels.md, section "The world"
SIDES = (8, 16, 32)  # pixels along an edge
WINDOW = 1.5  # a picture shows [-1.5, 1.5] in both directions
RADIUS = 0.5  # of a disc, in the units of the window
FAINT = 0.1  # of the brightest: what is darker is not seen
REACH = 0.25  # how far an action at 1 moves the point
HORIZON = 15
START, GOAL = (0.8, 0.2), (-0.8, -0.2)


def check_side(side: int) -> int:
    """Return the pixels along an edge; ValueError if not 8, 16 or 32."""
    if side not in SIDES:
        known = ", ".join(map(str, SIDES))
        raise ValueError(f"pixels must be one of {known}, got {side!r:.40}")
    return side


def pixel_places(side: int) -> Tensor:
    """Return where the pixels of a picture lie, row by row, (side^2, 2)."""
    line = ((torch.arange(side) + 0.5) / side * 2 - 1) * WINDOW
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), dim=1)


# book/planning/pixels.md, section "The world"
def render(points: Tensor, side: int) -> Tensor:
    """Draw points (..., 2) as soft discs, pictures (..., side^2).

    Eq. (soft-disc) of this chapter.

    Raises:
        ValueError: points that are no pairs of finite numbers.
    """
    if points.shape[-1:] != (2,) or not bool(points.isfinite().all()):
        raise ValueError(
            "points must be pairs of finite numbers, got shape"
            f" {tuple(points.shape)}"
        )
    gaps = points.unsqueeze(-2) - pixel_places(check_side(side)).to(points)
    near = 1 - gaps.square().sum(dim=-1) / RADIUS**2
    return near.clamp(min=0).square()


def decode(pictures: Tensor) -> Tensor:
    """Return the centroids (..., 2) of pictures (..., side^2).

    Eq. (centroid) of this chapter; a picture without ink gives 0.

    Raises:
        ValueError: pictures of another size.
    """
    side = check_side(math.isqrt(pictures.shape[-1]))
    if side**2 != pictures.shape[-1]:
        raise ValueError(f"{pictures.shape[-1]} pixels are no square")
    ink = (pictures - FAINT).clamp(min=0)
    mass = ink.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    return ink @ pixel_places(side).to(pictures) / mass


def move_points(points: Tensor, actions: Tensor) -> Tensor:
    """Return points (..., 2) after pictures of actions (..., side^2).

    Raises:
        ValueError: actions that hold NaN or infinity, or of another size.
    """
    if not bool(actions.isfinite().all()):
        raise ValueError("actions must hold no NaN and no infinity")
    return points + REACH * decode(actions)


def record_pixels(
    side: int, count: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pictures of states, actions and next states, (count, side^2).

    Points and actions are even in [-1, 1]^2; a step that leaves the square
    is not recorded.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = 2 * torch.rand(2 * count + 99, 4, generator=generator) - 1
    x, u = drawn.split(2, dim=1)
    after = x + REACH * u
    kept = (after.abs() <= 1).all(dim=1).nonzero()[:count, 0]
    pictures = [render(part[kept], side) for part in (x, u, after)]
    return pictures[0], pictures[1], pictures[2]


# book/planning/pixels.md, section "A model that moves pictures"
class PixelModel(ModelNetwork):
    """Move a picture by a kernel that the action's picture chooses.

    Args:
        seeds: N.
        states, actions: pixels of each picture.
        config: hidden widths.

    Source: Eq. (kernel-model) of this chapter; Finn et al. (2016).
    """

    def __init__(
        self, seeds: int, states: int, actions: int, config: ModelConfig
    ):
        nn.Module.__init__(self)
        self.side = check_side(math.isqrt(states))
        self.size = 2 * math.ceil(REACH * self.side / (2 * WINDOW)) + 1
        widths = (actions, *config.hidden, self.size**2)
        self.network = MLP((seeds,), widths, activation=silu)
        self.register_buffer("middle", torch.zeros(states + actions))
        self.register_buffer("spread", torch.ones(states + actions))
        self.register_buffer("drift", torch.zeros(states))
        self.register_buffer("reach", torch.ones(states))

    def settle(self, points: Tensor, change: Tensor) -> None:
        """Take one mean and one spread for all pixels."""
        self.middle.fill_(float(points.mean()))
        self.spread.fill_(float(points.std()))
        self.reach.fill_(float(change.std()))

    def change(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return the change in units of `reach`, (N, B, n)."""
        n, half = states.shape[-1], self.size // 2
        taken = (actions - self.middle[n:]) / self.spread[n:]
        kernels = self.network(taken).softmax(dim=-1)
        lead = kernels.shape[:2]
        flat = states.expand(*lead, n).reshape(1, -1, self.side, self.side)
        kernels = kernels.reshape(-1, 1, self.size, self.size)
        moved = conv2d(flat, kernels, padding=half, groups=len(kernels))
        return (moved.view(*lead, n) - states) / self.reach


# book/planning/pixels.md, section "A model that moves pictures"
class PixelModelLearner(ModelLearner):
    """Learn the kernels, with noise on the pictures of actions."""

    def loss(self) -> Tensor:
        """Draw transitions for each member; return the losses (N,)."""
        size, count, n = self.batch_size, len(self.x), self.u.shape[1]
        drawn = [
            (
                torch.randint(count, (size,), generator=g),
                torch.rand(size, 1, generator=g),
                torch.randn(size, n, generator=g),
            )
            for g in self.generators
        ]
        rows, level, noise = map(torch.stack, zip(*drawn, strict=True))
        largest = math.isqrt(n) / 16  # in spreads
        spread = largest * level * self.network.spread[:n]
        taken = self.u[rows] + spread * noise
        found = self.network.change(self.x[rows], taken)
        return (found - self.due[rows]).square().mean(dim=(1, 2))


# book/planning/pixels.md, section "A U-Net for the score"
class Convolution(Linear):
    """Convolve pictures by 3 x 3 kernels, one set for each of N seeds.

    A picture has (B, N * inputs, H, W), and the result (B, N * outputs, H, W).
    """

    def __init__(self, seeds: int, inputs: int, outputs: int):
        super().__init__((seeds,), 9 * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N * inputs, H, W) to (B, N * outputs, H, W)."""
        seeds, rows, outputs = self.weight.shape
        kernel = self.weight.mT.reshape(seeds * outputs, rows // 9, 3, 3)
        bias = self.bias.flatten()
        return conv2d(x, kernel, bias, padding=1, groups=seeds)


class Residual(nn.Module):
    """Add two convolutions to a picture, scaled and shifted by a code."""

    def __init__(self, seeds: int, width: int, code: int):
        super().__init__()
        self.first = Convolution(seeds, width, width)
        self.second = Convolution(seeds, width, width)
        self.turn = Linear((seeds,), code, 2 * width)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Map (B, N * width, H, W) and codes (N, B, code) to pictures."""
        scale, shift = self.turn(code).transpose(0, 1).chunk(2, dim=-1)
        shape = len(x), -1, 1, 1
        h = silu(self.first(silu(x)))
        h = h * (1 + scale.reshape(shape)) + shift.reshape(shape)
        return x + 0.5 * self.second(h)


# book/planning/pixels.md, section "A U-Net for the score"
def add_planes(x: Tensor, signals: Tensor) -> Tensor:
    """Return planes (B, N, C, h, h) with those of place and signals.

    Args:
        x: planes.
        signals: (N, B, S); the result is (B, N (C + 2 + S), h, h).
    """
    line = torch.linspace(-1, 1, x.shape[-1])
    place = torch.stack(torch.meshgrid(line, line, indexing="ij"))
    place = place.expand(*x.shape[:2], *place.shape)
    plane = signals.transpose(0, 1)[..., None, None]
    plane = plane.expand(*plane.shape[:3], *x.shape[-2:])
    return torch.cat((x, place, plane), dim=2).flatten(1, 2)


# book/planning/pixels.md, section "A U-Net for the score"
class UNet(nn.Module):
    """Map two pictures to two pictures, for each of N seeds.

    Args:
        seeds: N.
        side: pixels along an edge.
        signals: numbers that are known besides.

    The pictures are folded to 8 x 8, so that all sizes cost alike; below
    are 4 x 4 and 2 x 2, and a code of all that is at the bottom.
    """

    widths = 16, 24, 32
    code = 48

    def __init__(self, seeds: int, side: int, signals: int):
        super().__init__()
        (a, b, c), code = self.widths, self.code
        self.fold = check_side(side) // 8
        planes = 2 * self.fold**2
        self.begin = Convolution(seeds, planes + 2 + signals, a)
        self.middle = Convolution(seeds, 4 * a, b)
        self.bottom = Convolution(seeds, 4 * b, c)
        self.encode = MLP((seeds,), (4 * c + signals, code, code), False, silu)
        self.blocks = nn.ModuleList(
            Residual(seeds, width, code) for width in (c, b, a)
        )
        self.merge = nn.ModuleList(
            (Convolution(seeds, c + b, b), Convolution(seeds, b + a, a))
        )
        self.end = Convolution(seeds, a, planes)

    def forward(self, pictures: Tensor, signals: Tensor) -> Tensor:
        """Map (N, B, 2, side, side) and (N, B, signals) to pictures."""
        x = pixel_unshuffle(pictures.transpose(0, 1), self.fold)
        x = add_planes(x, signals)
        n = len(pictures)
        fine = self.begin(x)
        coarse = self.middle(pixel_unshuffle(silu(fine), 2))
        h = self.bottom(pixel_unshuffle(silu(coarse), 2))
        known = silu(h).unflatten(1, (n, -1)).flatten(2).transpose(0, 1)
        code = silu(self.encode(torch.cat((known, signals), dim=-1)))
        h = self.blocks[0](h, code)
        for block, merge, skip in zip(
            self.blocks[1:], self.merge, (coarse, fine), strict=True
        ):
            h = interpolate(h, scale_factor=2.0).unflatten(1, (n, -1))
            both = torch.cat((h, skip.unflatten(1, (n, -1))), dim=2)
            h = block(merge(both.flatten(1, 2)), code)
        h = self.end(silu(h)).unflatten(1, (n, -1))
        return pixel_shuffle(h, self.fold).transpose(0, 1)


# book/planning/pixels.md, section "A U-Net for the score"
class PixelScore(ScoreNetwork):
    """Guess the clean pictures in noisy ones, and the score from them.

    Args:
        seeds: N.
        size: pixels of both pictures.
        config: scales; the widths are those of `UNet`.

    Source: Eq. (denoiser) of this chapter.
    """

    def __init__(self, seeds: int, size: int, config: ScoreConfig):
        nn.Module.__init__(self)
        self.side = check_side(math.isqrt(size // 2))
        self.unet = UNet(seeds, self.side, 5)
        self.register_buffer("middle", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def settle(self, points: Tensor) -> None:
        """Take one mean and one spread for all pixels."""
        self.middle.fill_(float(points.mean()))
        self.spread.fill_(float(points.std()))

    def denoise(self, points: Tensor, scales: Tensor) -> Tensor:
        """Return clean pictures (N, B, n) for noisy ones and (N, B, 1)."""
        level = scales.log() / 2
        angles = torch.cat((level, 2 * level), dim=-1)
        signals = torch.cat((level, angles.sin(), angles.cos()), dim=-1)
        inputs = points * (1 + scales.square()).rsqrt()
        pictures = inputs.unflatten(-1, (2, self.side, self.side))
        return self.unet(pictures, signals).flatten(2)

    def noise(self, points: Tensor, scales: Tensor) -> Tensor:
        """Guess the noise in points (N, B, n)."""
        return (points - self.denoise(points, scales)) / scales


class PixelScoreLearner(ScoreLearner):
    """Learn to denoise pictures; every scale counts alike."""

    def __init__(self, points: Tensor, config, schedule: Schedule):
        super().__init__(points, config, schedule, PixelScore)
        with torch.no_grad():
            self.network.unet.end.weight.mul_(0.05)

    def loss(self) -> Tensor:
        """Draw noisy pictures for each seed; return the losses (N,)."""
        clean, noise, scales = draw_noisy(
            self.generators, self.clean, self.config
        )
        guess = self.network.denoise(clean + scales * noise, scales)
        return (guess - clean).square().mean(dim=(1, 2))


# book/planning/pixels.md, section "Ask the score where it was trained"
@dataclass
class PixelPlanner(OfflinePlanner):
    """Plan with pictures; the score is asked at points with noise.

    `generators` draw that noise, one for each plan.
    """

    generators: Sequence[torch.Generator] = ()

    def guide(self, points: Tensor, scale: float) -> Tensor:
        """Return Eq. (noisy-score) of this chapter at points (B, T, k)."""
        drawn = [
            torch.randn(points.shape[1:], generator=g)
            for g in self.generators
        ]
        noise, spread = torch.stack(drawn), scale * self.score.spread
        return super().guide(points + spread * noise, scale) + noise / spread


def steer_pixels(states: Tensor, actions: Tensor) -> Tensor:
    """Return the cost (B,) of Eq. (pixel-cost) of this chapter."""
    places, moves = decode(states), decode(actions)
    missed = (places[:, -1] - torch.tensor(GOAL)).square().sum(dim=-1)
    path = places.diff(dim=1).square().sum(dim=(1, 2))
    turns = moves.diff(dim=1).square().sum(dim=(1, 2))
    return 100 * missed + 3 * path + 0.3 * turns


# book/planning/pixels.md, section "Networks that travel with the package"
MODEL = ModelConfig((64, 64), batch_size=128, learning_rate=3e-3)
REFERENCE = 2_000  # recorded points that distances are taken to


def train_networks(
    side: int,
    count: int,
    seed: int,
    members: int,
    updates: int,
    out: Path | str | None = None,
    progress: bool = False,
) -> tuple[PixelModel, PixelScore]:
    """Record transitions and learn from them, all by one seed.

    Args:
        side: pixels along an edge.
        count: of transitions.
        members: models, trained apart, of twice as many updates.
        updates: of the score.
        out: folder for both runs; interrupted ones go on.
        progress: show progress bars on standard error.
    """
    before, taken, after = record_pixels(side, count, seed)
    points = torch.cat((before, taken), dim=1)
    scores = ScoreConfig(
        batch_size=64, learning_rate=3e-3, largest=side, smallest=side / 12
    )
    folder = None if out is None else Path(out)
    places = [folder and folder / name for name in ("model", "score")]
    known = dict(states=before, actions=taken, next_states=after)
    data = before, taken, after
    long = Schedule(updates=2 * updates, seeds=members, seed=seed)
    model = fit(
        lambda: PixelModelLearner(data, MODEL, long, PixelModel),
        MODEL, known, long, places[0], progress,
    )
    plan = Schedule(updates=updates, seeds=1, seed=seed)
    score = fit(
        lambda: PixelScoreLearner(points, scores, plan),
        scores, {"points": points}, plan, places[1], progress,
    )
    return model, score


# book/planning/pixels.md, section "Networks that travel with the package"
def shipped_networks(
    side: int, members: int
) -> tuple[PixelModel, PixelScore]:
    """Return the networks that travel with the package.

    Raises:
        ValueError: more than three members, or a damaged file.
    """
    if not 1 <= members <= 3:
        raise ValueError(
            f"three members are shipped, got {members}: give updates to train"
        )
    n = check_side(side) ** 2
    model = PixelModel(members, n, n, MODEL)
    score = PixelScore(1, 2 * n, ScoreConfig())
    for network, what in ((model, "model"), (score, "score")):
        place = package_folder() / "assets" / "pixels" / f"{what}-{side}.pt"
        held = read_checkpoint(place)["network"]
        for name, values in network.state_dict().items():
            values.copy_(held[name][: len(values)])
        network.requires_grad_(False)
    return model, score


# book/planning/pixels.md, section "The problem"
def choose_method(side: int, planner: str = "sgp") -> Method:
    """Return the constants chosen for a planner at a size of pictures."""
    size = check_side(side) / 32
    beta = {"sgp": 0.04, "ensemble": 1.0}.get(planner, 0.0) / size**2
    times = {8: 6, 16: 3, 32: 1}[side]  # what a search may do more, so that
    least = {8: 450, 16: 300, 32: 150}[side]  # all take about as long
    steps = {"none": 600, "ensemble": least}.get(planner, 300)
    rate = 1.0 if planner == "sgp" else 0.1
    search = Search(80, 100 * times, 10 * times)
    if planner == "mppi":
        search = Search(260, 32 * times)
    descent = Descent(steps, rate, largest=6 * size, smallest=3 * size)
    return Method(planner, beta, descent=descent, search=search)


# book/planning/pixels.md, section "The problem"
@dataclass(frozen=True)
class Pixels:
    """Bring a disc to a place by fifteen actions that are pictures.

    It is done if the point ends within 0.15 of the goal. Without a number of
    updates the networks that travel with the package are taken, whatever
    the seed.

    Raises:
        ValueError: a size other than 8, 16 or 32.
    """

    side: int = 32  # pixels along an edge
    count: int = 10_000  # transitions recorded
    updates: int = 1_000  # of the score; twice as many of the model
    near: float = 0.15  # of the goal
    name: str = "pixels"

    def __post_init__(self):
        check_side(self.side)

    @property
    def method(self) -> Method:
        """Return the constants chosen for this size."""
        return choose_method(self.side)

    def learn(
        self,
        seed: int,
        members: int = 1,
        updates: int | None = None,
        out: Path | str | None = None,
        progress: bool = False,
    ) -> PixelPlanner:
        """Return shipped networks, or record data and learn from them."""
        if updates is None:
            seed, networks = 0, shipped_networks(self.side, members)
        else:
            networks = train_networks(
                self.side, self.count, seed, members, updates, out, progress
            )
        before, taken, _ = record_pixels(self.side, self.count, seed)
        points = torch.cat((before, taken), dim=1)[:REFERENCE]
        return PixelPlanner(*networks, points)

    def attempt(
        self, known: OfflinePlanner, method: Method, seed: int
    ) -> list[Attempt]:
        """Plan and carry it out."""
        return plan_pictures(known, method, [seed], self.near)

    def draw(self, attempt: Attempt) -> list[np.ndarray]:
        """Return the picture planned, the one that came, and the action."""
        return draw_pictures(attempt)


# book/planning/pixels.md, section "The problem"
def calm_down(method: Method) -> list[Method]:
    """Return the method and, for descents, one of small steps to end with.

    It has a third of the steps, a tenth of the rate and the smallest scale.
    """
    if method.planner in ("cem", "mppi"):
        return [method]
    first = method.descent
    last = dataclasses.replace(
        first,
        steps=math.ceil(first.steps / 3),
        rate=first.rate / 10,
        largest=first.smallest,
    )
    return [method, dataclasses.replace(method, descent=last)]


# book/planning/pixels.md, section "The problem"
def plan_pictures(
    known: OfflinePlanner,
    method: Method,
    seeds: Sequence[int],
    near: float = 0.15,
    begin: Tensor | None = None,
    calm: bool = True,
) -> list[Attempt]:
    """Plan once for each seed, all at a time, and carry the plans out.

    Args:
        known: what was learned from pictures.
        method: which planner, and how.
        seeds: of the actions to begin with, which are recorded ones, and of
            all noise.
        near: of the goal counts as done.
        begin: other actions to begin with, (B, T, n).
        calm: end a descent with small steps, see `calm_down`.
    """
    n = known.points.shape[1] // 2
    side, count = math.isqrt(n), len(seeds)
    dice = [torch.Generator().manual_seed(seed) for seed in seeds]
    size = len(known.points), (HORIZON,)
    rows = torch.stack([torch.randint(*size, generator=g) for g in dice])
    if isinstance(known, PixelPlanner):
        known = dataclasses.replace(known, generators=dice)
    starts = render(torch.tensor(START), side).expand(count, n)
    actions, began = known.points[rows, n:], time.process_time()
    if begin is not None:
        actions = begin
    for how in calm_down(method) if calm else [method]:
        found = plan_offline(known, starts, actions, steer_pixels, how, seeds)
        actions = found.actions
    seconds = (time.process_time() - began) / count
    paths = roll_out(
        move_points, torch.tensor(START).expand(count, 2), found.actions
    )
    real = render(paths, side)
    true = steer_pixels(real, found.actions)
    missed = (paths[:, -1] - torch.tensor(GOAL)).norm(dim=-1)
    strange = find_strange(found.actions, known.points[:, n:])
    return [
        Attempt(
            "", float(found.costs[k]), float(true[k]),
            float(strange[k].float().mean()), bool(missed[k] <= near),
            seconds, found.states[k], real[k], found.actions[k],
        )
        for k in range(count)
    ]


# book/planning/pixels.md, section "The problem"
def find_strange(actions: Tensor, recorded: Tensor) -> Tensor:
    """Tell which pictures of actions (B, T, n) lie outside the data, (B, T).

    One does if it is farther from all recorded ones (M, n) than 99 of 100
    pictures that were held out are.
    """
    side = math.isqrt(recorded.shape[1])
    held = record_pixels(side, 500, seed=10_000)[1]
    usual = torch.cdist(held, recorded).amin(dim=1).quantile(0.99)
    far = torch.cdist(actions.flatten(0, 1), recorded).amin(dim=1)
    return (far > usual).view(actions.shape[:2])


# book/planning/pixels.md, section "The problem"
def draw_pictures(attempt: Attempt, zoom: int = 96) -> list[np.ndarray]:
    """Return one picture (zoom, 3 zoom + 8, 3) in bytes for each step.

    From the left: the state as planned, the state as it came, the action.
    """
    frames = []
    for step, action in enumerate(attempt.actions):
        parts = []
        for part in (attempt.planned[step], attempt.real[step], action):
            side = math.isqrt(len(part))
            grey = (part.clamp(0, 1) * 255).to(torch.uint8).view(side, side)
            grey = grey.repeat_interleave(zoom // side, dim=0)
            parts.append(grey.repeat_interleave(zoom // side, dim=1))
            parts.append(torch.full((zoom, 4), 255, dtype=torch.uint8))
        row = torch.cat(parts[:-1], dim=1)
        frames.append(row.unsqueeze(-1).expand(-1, -1, 3).numpy().copy())
    return frames


# book/planning/pixels.md, section "The hole, as a problem"
HOLE = 0.4  # radius of the disc that no state was recorded in
HOLE_START, HOLE_GOAL = (0.8, 0.2), (-0.8, 0.2)


class KernelScore(ScoreNetwork):
    """Give the exact score of recorded points; it learns nothing."""

    def __init__(self, points: Tensor):
        nn.Module.__init__(self)
        self.register_buffer("middle", points.mean(dim=0))
        self.register_buffer("spread", points.std(dim=0))
        self.register_buffer("known", (points - self.middle) / self.spread)

    def forward(self, points: Tensor, scale: float) -> Tensor:
        """Return the score at points (N, B, n), in units of the data."""
        at = (points - self.middle) / self.spread
        known = self.get_buffer("known")
        return kernel_score(at, known, scale) / self.spread


class Glide(ModelNetwork):
    """Add the action to the state, which is exact; all members agree."""

    def __init__(self, members: int):
        nn.Module.__init__(self)
        self.members = members
        self.register_buffer("reach", torch.ones(2))

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """Map (B, 2) and (B, 2) to (N, B, 2)."""
        return (states + actions).expand(self.members, *states.shape)


def record_hole(count: int, seed: int) -> Tensor:
    """Return states outside the disc and actions, side by side, (M, 4)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(2 * count + 99, 4, generator=generator)
    points = (2 * drawn - 1) * torch.tensor([1.0, 1.0, 0.1, 0.1])
    return points[points[:, :2].norm(dim=1) > HOLE][:count]


def steer_point(states: Tensor, actions: Tensor) -> Tensor:
    """Return ten times the squared distance of the end to the goal, (B,)."""
    return 10 * (states[:, -1] - torch.tensor(HOLE_GOAL)).square().sum(dim=-1)


# book/planning/pixels.md, section "The hole, as a problem"
@dataclass(frozen=True)
class Hole:
    """Go round a disc that nobody recorded, with a model that is exact.

    It is done if the point ends within 0.1 of the goal; `outside` is the
    share of states in the disc. Nothing is trained: `updates`, `out` and
    `progress` change nothing.
    """

    count: int = 2_000  # transitions recorded
    horizon: int = 25
    updates: int = 1
    name: str = "hole"
    method: Method = Method(
        beta=1.0, descent=Descent(300, 0.2, largest=0.6, smallest=0.1)
    )

    def learn(
        self,
        seed: int,
        members: int = 1,
        updates: int | None = None,
        out: Path | str | None = None,
        progress: bool = False,
    ) -> OfflinePlanner:
        """Record steps outside the disc."""
        points = record_hole(self.count, seed)
        return OfflinePlanner(Glide(members), KernelScore(points), points)

    def attempt(
        self, known: OfflinePlanner, method: Method, seed: int
    ) -> list[Attempt]:
        """Plan and carry it out; the world is as the model says."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, self.horizon, 2, generator=generator)
        given = known, torch.tensor([HOLE_START]), 0.02 * noise
        began = time.process_time()
        found = plan_offline(*given, steer_point, method, [seed])
        seconds, states = time.process_time() - began, found.states[0]
        cost = float(found.costs)
        inside = (states.norm(dim=-1) < HOLE).float().mean()
        missed = (states[-1] - torch.tensor(HOLE_GOAL)).norm()
        return [
            Attempt(
                "", cost, cost, float(inside), bool(missed < 0.1), seconds,
                states, states, found.actions[0],
            )
        ]

    def draw(self, attempt: Attempt) -> list[np.ndarray]:
        """Draw the point, its path and the disc, step by step."""
        steps = range(1, len(attempt.real) + 1)
        return [draw_point(attempt.real[:step]) for step in steps]


# book/planning/pixels.md, section "The hole, as a problem"
def draw_point(path: Tensor, size: int = 240) -> np.ndarray:
    """Draw a path (T, 2) in [-1.2, 1.2]^2 and the disc, (size, size, 3)."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(image)

    def place(point) -> tuple[float, float]:
        x, y = (float(each) for each in point)
        return size * (x / 2.4 + 0.5), size * (0.5 - y / 2.4)

    def ring(point, radius: float, shade: str) -> None:
        x, y = place(point)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), shade)

    ring((0, 0), size * HOLE / 2.4, "#dddddd")
    ring(HOLE_GOAL, 6, "#000000")
    spots = [place(point) for point in path]
    if len(spots) > 1:
        pen.line(spots, fill="#440154", width=2)
    ring(path[-1], 5, "#440154")
    return np.asarray(image)
