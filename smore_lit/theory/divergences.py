# Generated from book/theory/divergences.md by make sync. Edit the chapter, not this file.
"""f-divergences and conjugates: measure how far two distributions are apart.

Five convex functions, the conjugates that make them linear in a score, and the
edges that the printed table leaves out.
"""

__all__ = [
    "FDivergence",
    "Pearson",
    "KullbackLeibler",
    "Hellinger",
    "LOG2",
    "LOG2_REST",
    "JensenShannon",
    "TotalVariation",
    "DIVERGENCES",
    "find_divergence",
]


# book/theory/divergences.md, section "f-divergences and conjugates: measure how far two distributions are apart"
import math
from dataclasses import dataclass

import torch
from torch import Tensor


# book/theory/divergences.md, section "Two conjugates"
@dataclass(frozen=True)
class FDivergence:
    r"""Hold a convex f with f(1) = 0 and what duality asks of it.

    Every method but `divergence` maps a floating tensor to one of the same
    shape, element by element, with gradients that are never NaN.

    Source: Eqs. 39 and 40 and Table 3 of Sikchi et al. (2024).
    """

    name: str
    title: str
    domain: tuple[float, float]  # where the conjugate over x >= 0 is finite

    def generator(self, x: Tensor) -> Tensor:
        """Return f(x); infinite at x < 0 where the formula has no value."""
        raise NotImplementedError

    def derivative(self, x: Tensor) -> Tensor:
        """Return f'(x) for x >= 0, at a kink a value between both sides."""
        raise NotImplementedError

    def inverse_derivative(self, y: Tensor) -> Tensor:
        """Return the x with f'(x) = y, infinite where y is beyond all f'."""
        raise NotImplementedError

    def nonnegative_conjugate(self, y: Tensor) -> Tensor:
        """Return the supremum of xy - f(x), x >= 0; infinite off `domain`."""
        raise NotImplementedError

    def conjugate(self, y: Tensor) -> Tensor:
        """Return the supremum of xy - f(x) over all real x."""
        return self.nonnegative_conjugate(y)

    def ratio(self, y: Tensor) -> Tensor:
        """Return the x >= 0 at which xy - f(x) is largest, inf if at none."""
        return self.inverse_derivative(y).clamp(min=0.0)

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        r"""Compute $D_f(p \| q)$ of two distributions.

        Args:
            p, q: non-negative, of one shape; sums are not checked.

        Returns:
            A scalar: the sum of q f(p / q) where q > 0, and of
            $p\,f'(\infty)$ where q = 0.

        Raises:
            ValueError: if the shapes differ or a number is negative.

        Source: Eq. 40 of Sikchi et al. (2024), its limit where q = 0.
        """
        return _sum_terms(self, p, q)


# book/theory/divergences.md, section "Two conjugates"
def _sum_terms(divergence: FDivergence, p: Tensor, q: Tensor) -> Tensor:
    """Return the divergence of p from q, (), after checking both."""
    if p.shape != q.shape:
        raise ValueError(
            f"p has shape {tuple(p.shape)}, q {tuple(q.shape)}:"
            " make them equal"
        )
    for name, value in (("p", p), ("q", q)):
        if not bool((value >= 0).all()):
            raise ValueError(
                f"{name} has negative or undefined entries: clip or repair it"
            )
    slope = divergence.domain[1]  # f'(inf)
    inside = q > 0
    below = torch.where(inside, q, 1.0)
    below = torch.where(p > 0, below, below.detach())  # else 0 * f'(0)
    ratio = torch.where(inside, p, 1.0) / below
    if math.isinf(slope):
        outside = torch.where(p > 0, slope, 0.0).to(p.dtype)
    else:
        outside = p * slope
    return torch.where(inside, q * divergence.generator(ratio), outside).sum()


# book/theory/divergences.md, section "Pearson"
@dataclass(frozen=True)
class Pearson(FDivergence):
    """The Pearson divergence, f(x) = (x - 1)^2."""

    name: str = "chi2"
    title: str = "Pearson chi-square"
    domain: tuple[float, float] = (-math.inf, math.inf)

    def generator(self, x: Tensor) -> Tensor:
        return (x - 1.0).square()

    def derivative(self, x: Tensor) -> Tensor:
        return 2.0 * (x - 1.0)

    def inverse_derivative(self, y: Tensor) -> Tensor:
        return 1.0 + 0.5 * y

    def conjugate(self, y: Tensor) -> Tensor:
        return y * (1.0 + 0.25 * y)

    def nonnegative_conjugate(self, y: Tensor) -> Tensor:
        return self.conjugate(y.clamp(min=-2.0))


# book/theory/divergences.md, section "Kullback and Leibler"
@dataclass(frozen=True)
class KullbackLeibler(FDivergence):
    """The Kullback-Leibler divergence, f(x) = x log x."""

    name: str = "kl"
    title: str = "Kullback-Leibler"
    domain: tuple[float, float] = (-math.inf, math.inf)

    def generator(self, x: Tensor) -> Tensor:
        safe = torch.where(x < 0, 1.0, x)
        return torch.where(x < 0, math.inf, 0.0 - torch.special.entr(safe))

    def derivative(self, x: Tensor) -> Tensor:
        return x.log() + 1.0

    def inverse_derivative(self, y: Tensor) -> Tensor:
        return (y - 1.0).exp()

    def nonnegative_conjugate(self, y: Tensor) -> Tensor:
        return (y - 1.0).exp()


# book/theory/divergences.md, section "Hellinger"
@dataclass(frozen=True)
class Hellinger(FDivergence):
    """The squared Hellinger divergence, f(x) = (sqrt(x) - 1)^2."""

    name: str = "hellinger"
    title: str = "Squared Hellinger"
    domain: tuple[float, float] = (-math.inf, 1.0)

    def generator(self, x: Tensor) -> Tensor:
        safe = torch.where(x < 0, 1.0, x)
        return torch.where(x < 0, math.inf, (safe.sqrt() - 1.0).square())

    def derivative(self, x: Tensor) -> Tensor:
        return 1.0 - x.rsqrt()

    def inverse_derivative(self, y: Tensor) -> Tensor:
        safe = torch.where(y < 1, y, 0.0)
        return torch.where(y < 1, 1.0 / (1.0 - safe).square(), math.inf)

    def nonnegative_conjugate(self, y: Tensor) -> Tensor:
        safe = torch.where(y < 1, y, 0.0)
        return torch.where(y < 1, safe / (1.0 - safe), math.inf)


# book/theory/divergences.md, section "Jensen and Shannon"
LOG2 = math.log(2.0)
LOG2_REST = 2.3190468138462996e-17  # log 2 less its double


def _below_log2(y: Tensor) -> Tensor:
    """Return log 2 - y, exact to the last digit near log 2."""
    head = torch.tensor(LOG2, dtype=y.dtype).item()
    return (head - y) + (LOG2 - head + LOG2_REST)


# book/theory/divergences.md, section "Jensen and Shannon"
@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """Twice the Jensen-Shannon divergence, as Table 3 prints it."""

    name: str = "js"
    title: str = "Jensen-Shannon"
    domain: tuple[float, float] = (-math.inf, LOG2)

    def generator(self, x: Tensor) -> Tensor:
        safe = torch.where(x < 0, 1.0, x)
        mean = (safe + 1.0) * (0.5 * (safe + 1.0)).log()
        value = -torch.special.entr(safe) - mean
        return torch.where(x < 0, math.inf, value)

    def derivative(self, x: Tensor) -> Tensor:
        return LOG2 + x.log() - x.log1p()

    def inverse_derivative(self, y: Tensor) -> Tensor:
        gap = _below_log2(y)
        safe = torch.where(gap > 0, gap, 1.0)
        value = (-safe).exp() / -torch.expm1(-safe)
        return torch.where(gap > 0, value, math.inf)

    def nonnegative_conjugate(self, y: Tensor) -> Tensor:
        gap = _below_log2(y)
        safe = torch.where(gap > 0, gap, 1.0)
        value = -LOG2 - (-torch.expm1(-safe)).log()
        return torch.where(gap > 0, value, math.inf)


# book/theory/divergences.md, section "Total variation"
@dataclass(frozen=True)
class TotalVariation(FDivergence):
    """The total variation, f(x) = |x - 1| / 2."""

    name: str = "tv"
    title: str = "Total variation"
    domain: tuple[float, float] = (-math.inf, 0.5)  # 1/2 included

    def generator(self, x: Tensor) -> Tensor:
        return 0.5 * (x - 1.0).abs()

    def derivative(self, x: Tensor) -> Tensor:
        return 0.5 * (x - 1.0).sign()

    def inverse_derivative(self, y: Tensor) -> Tensor:
        above = torch.where(y > 0.5, math.inf, 1.0 + 0.0 * y)
        return torch.where(y < -0.5, -math.inf, above)

    def conjugate(self, y: Tensor) -> Tensor:
        return torch.where(y.abs() <= 0.5, y, math.inf)

    def nonnegative_conjugate(self, y: Tensor) -> Tensor:
        return torch.where(y <= 0.5, y.clamp(min=-0.5), math.inf)


# book/theory/divergences.md, section "Find one by name"
DIVERGENCES: dict[str, FDivergence] = {
    each.name: each
    for each in (
        Pearson(),
        KullbackLeibler(),
        Hellinger(),
        JensenShannon(),
        TotalVariation(),
    )
}


def find_divergence(name: str) -> FDivergence:
    """Return the divergence called `name`.

    Args:
        name: chi2, kl, hellinger, js or tv.

    Returns:
        The divergence.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in DIVERGENCES:
        known = ", ".join(DIVERGENCES)
        raise ValueError(f"unknown divergence {name!r}; known: {known}")
    return DIVERGENCES[name]
