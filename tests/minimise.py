"""The least point of a smooth loss, for tests of what a loss settles at."""

import torch


def minimise(loss, size: int) -> torch.Tensor:
    """Return the x (size,) in float64 with the least loss(x), from zeros."""
    x = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [x],
        max_iter=1000,
        tolerance_grad=1e-12,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        search.zero_grad()
        value = loss(x).sum()
        value.backward()
        return value

    search.step(closure)
    return x.detach()
