# Generated from book/running/checkpoints.md by make sync. Edit the chapter, not this file.
"""Checkpoints: save a run so that it can go on.

Everything that learning depends on, in one file that runs no code when opened.
"""

__all__ = [
    "Learner",
    "Line",
    "FORMAT",
    "save_checkpoint",
    "check_archive",
    "find_tensors",
    "read_checkpoint",
    "MISFITS",
    "restore",
    "fill_optimiser",
    "fill_generators",
    "last_line",
]


# book/running/checkpoints.md, section "Checkpoints: save a run so that it can go on"
import copy
import io
import textwrap
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from smore_lit.running.files import as_path, as_whole, write_atomic


# book/running/checkpoints.md, section "What a learner is"
class Learner(Protocol):
    """Take updates, one after another, for several seeds at a time.

    Fields:
        updates: how many were taken.
        seeds: the random seeds, N of them.
    """

    @property
    def updates(self) -> int: ...

    @property
    def seeds(self) -> tuple[int, ...]: ...

    def step(self) -> dict[str, Tensor]:
        """Take one update; return measurements by name, each of shape (N,)."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next updates depend on but data and settings.

        Tensors, numbers and text, in dictionaries and lists.
        """

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


# book/running/checkpoints.md, section "What a learner is"
class Line:
    """Fit y = a x + b to noisy points, one line for each of N seeds.

    The points are those of y = 2 x - 1, and new ones for every update.
    """

    def __init__(self, seeds: Sequence[int] = (0, 1)):
        self.seeds, self.updates = tuple(seeds), 0
        self.line = nn.ParameterDict({"ab": torch.zeros(len(seeds), 2)})
        self.optimiser = torch.optim.Adam(self.line.parameters(), 0.05)
        self.generators = [torch.Generator().manual_seed(n) for n in seeds]

    def step(self) -> dict[str, Tensor]:
        """Take one update; return the mean squared error of each seed."""
        points = [torch.randn(2, 16, generator=g) for g in self.generators]
        x, noise = torch.stack(points).unbind(1)
        a, b = self.line["ab"].unbind(-1)
        missed = a[:, None] * x + b[:, None] - (2 * x - 1 + 0.1 * noise)
        loss = missed.square().mean(dim=1)
        self.optimiser.zero_grad()
        loss.sum().backward()
        self.optimiser.step()
        self.updates += 1
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, generators and number of updates."""
        return {
            "updates": self.updates,
            "line": self.line.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generators": [g.get_state() for g in self.generators],
        }

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.line.load_state_dict(content["line"])
        fill_optimiser(self.optimiser, content["optimiser"])
        fill_generators(self.generators, content["generators"])
        self.updates = as_whole("updates", content["updates"])


# book/running/checkpoints.md, section "What a run remembers"
FORMAT = "smore_lit checkpoint 1"


def save_checkpoint(
    path: Path | str, content: Mapping[str, Any], description: Mapping
) -> None:
    """Write everything that continuing a run needs, atomically.

    Args:
        path: the file.
        content: what `Learner.state_dict` returned.
        description: plain values that say which run this is.

    Raises:
        OSError: the file cannot be written; an older one stands untouched.
    """
    buffer = io.BytesIO()
    known = {"format": FORMAT, "description": dict(description)}
    torch.save({**content, **known}, buffer)
    write_atomic(path, buffer.getvalue())


# book/running/checkpoints.md, section "Open it safely"
def check_archive(path: Path) -> int:
    """Return the size of an archive in bytes; refuse one that claims more.

    Raises:
        ValueError: one that unfolds, or has a part with a wrong checksum.
        zipfile.BadZipFile: not a whole archive.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > size:
            raise ValueError(f"it claims {claimed} bytes in a file of {size}")
        if broken := archive.testzip():
            raise ValueError(f"the checksum of {broken} is wrong")
    return size


def find_tensors(content) -> Iterator[Tensor]:
    """Yield every tensor in nested dictionaries, lists and tuples."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from find_tensors(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from find_tensors(value)


# book/running/checkpoints.md, section "Open it safely"
def read_checkpoint(path: Path | str) -> dict:
    """Read a checkpoint without running anything that is in it.

    Raises:
        ValueError: not a whole checkpoint of this package.
        OSError: no such file, or one that cannot be read.
    """
    try:
        path = as_path(path)
        size = check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        held = sum(t.numel() * t.element_size() for t in find_tensors(content))
        if held > size:
            raise ValueError(f"it claims {held} bytes in a file of {size}")
    except OSError:
        raise
    except Exception as error:
        told = type(error) is ValueError
        reason = str(error) if told else type(error).__name__
        raise ValueError(
            f"{path} is no readable checkpoint ({reason}):"
            " it is damaged or unsafe; train again or restore it"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a {FORMAT!r}: was it made by this package?"
        )
    if not isinstance(content.get("description"), dict):
        raise ValueError(f"{path} has no description: train again")
    return content


# book/running/checkpoints.md, section "Continue to the same bits"
MISFITS = (
    AttributeError,
    KeyError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)  # what a file of another shape may raise


def restore(content: Mapping[str, Any], learner: Learner) -> None:
    """Fill a learner in place from a checkpoint's content.

    Raises:
        ValueError: the checkpoint belongs to another learner, or is damaged;
            nothing was changed.
    """
    before = copy.deepcopy(learner.state_dict())
    try:
        learner.load_state_dict(content)
    except MISFITS as error:
        learner.load_state_dict(before)
        raise ValueError(
            f"the checkpoint does not fit this run: {last_line(error)}"
        ) from error


# book/running/checkpoints.md, section "Continue to the same bits"
def fill_optimiser(optimiser: torch.optim.Optimizer, content: dict) -> None:
    """Take over an optimiser's state.

    Raises:
        ValueError: its averages have other shapes than the parameters.
    """
    optimiser.load_state_dict(content)
    for parameter, averages in optimiser.state.items():
        for name, average in averages.items():
            if average.ndim and average.shape != parameter.shape:
                raise ValueError(f"{name} of the optimiser has another shape")


def fill_generators(
    generators: Sequence[torch.Generator], content: Sequence[Tensor]
) -> None:
    """Put each generator where its saved state stands.

    Raises:
        ValueError: more or fewer states, or those of another device.
    """
    for generator, place in zip(generators, content, strict=True):
        if place.shape != generator.get_state().shape:
            raise ValueError(
                "its random numbers are those of another kind of device: "
                "go on with the version and device that wrote it, or train "
                "again"
            )
        generator.set_state(place)


# book/running/checkpoints.md, section "Continue to the same bits"
def last_line(error: Exception) -> str:
    """Return the last line of an error's text, where the reason stands."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[-1], 200)
