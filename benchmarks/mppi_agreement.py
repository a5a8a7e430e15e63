"""Compare MPPI with the package pytorch_mppi, given the same noise.

    pip install pytorch_mppi
    python benchmarks/mppi_agreement.py --out results/mppi_agreement.csv

Both plan 15 steps of a point with a nonlinear drag, with the same draws, and
what is compared is the plan after each number of updates.
"""

import argparse
import json

import torch

from smore_lit.planning.search import Search, draw_plans, search_plans
from smore_lit.running.files import write_rows

HORIZON, SAMPLES, WIDTH = 15, 200, 0.4


def drag(states, actions):
    """Return positions and speeds (B, 4) after a tenth of a second."""
    places, speeds = states.split(2, dim=-1)
    faster = speeds + 0.1 * actions - 0.05 * speeds * speeds.abs()
    return torch.cat((places + 0.1 * faster, faster), dim=-1)


def reach(states, actions):
    """Return the cost (B,) of being away from (1, 1)."""
    return 5 * (states[:, 1:, :2] - 1).square().sum(dim=(-2, -1))


def compare(temperature: float, updates: int) -> dict:
    """Return the largest difference of the two plans."""
    from pytorch_mppi import MPPI

    start = torch.zeros(1, 4).double()
    first = torch.full((1, HORIZON, 2), 0.1, dtype=torch.float64)
    widths = torch.full((2,), WIDTH, dtype=torch.float64)
    peer = MPPI(
        drag,
        lambda states, actions: 5 * (states[..., :2] - 1).square().sum(-1),
        4,
        torch.eye(2).double() * WIDTH**2,
        num_samples=SAMPLES,
        horizon=HORIZON,
        lambda_=temperature,
        U_init=first[0].clone(),
    )
    generator = torch.Generator().manual_seed(3)
    for _ in range(updates):
        zero, spread = torch.zeros_like(first), widths.expand_as(first)
        noise = draw_plans(zero, spread, SAMPLES, [generator])[0]
        peer._sample_noise = lambda shape, noise=noise: noise.clone()
        peer.command(start[0], shift_nominal_trajectory=False)
    how = Search(updates, SAMPLES, 2, temperature)
    ours = search_plans(
        drag, reach, start, first, widths, how, [3], weigh=True
    )
    apart = (ours.actions[0] - peer.U).abs().max()
    return {
        "temperature": temperature,
        "updates": updates,
        "moved": float((ours.actions - first).abs().max()),
        "largest_difference": float(apart),
    }


def main() -> None:
    """Print one line for each temperature and number of updates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", metavar="CSV", help="where to write the rows")
    options = parser.parse_args()
    rows = [compare(t, k) for t in (0.1, 1.0, 10.0) for k in (1, 20)]
    for row in rows:
        print(json.dumps(row))
    if options.out:
        write_rows(options.out, rows)


if __name__ == "__main__":
    main()
