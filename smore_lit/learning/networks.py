# Generated from book/learning/networks.md by make sync. Edit the chapter, not this file.
"""Networks with a seed axis: train ten seeds as one network.

Give every parameter a leading seed axis, and ten runs become one larger matrix
product.
"""

__all__ = [
    "Linear",
    "LayerNorm",
    "MLP",
    "INITIALISERS",
    "initialise",
    "Critic",
    "Value",
    "GaussianPolicy",
    "hold",
]


# book/learning/networks.md, section "Networks with a seed axis: train ten seeds as one network"
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import layer_norm


# book/learning/networks.md, section "A linear layer with a seed axis"
class Linear(nn.Module):
    """Apply one affine map per leading index.

    Args:
        lead: leading axes L, such as (seeds,) or (seeds, critics).
        inputs, outputs: sizes I and O of the map.

    The weight has shape (*L, I, O), the bias (*L, 1, O); both start at zero
    and are filled by `initialise`.
    """

    def __init__(self, lead: Sequence[int], inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*lead, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(*lead, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (prod(L), B, I) to (prod(L), B, O)."""
        weight, bias = self.weight.flatten(0, -3), self.bias.flatten(0, -3)
        if weight.shape[-1] == 1:
            return (x * weight.mT).sum(dim=-1, keepdim=True) + bias
        return torch.bmm(x, weight).add_(bias)


# book/learning/networks.md, section "Layer normalisation with a seed axis"
class LayerNorm(nn.Module):
    """Normalise each feature vector, then scale and shift per leading index.

    Source: Ba et al. (2016), with the epsilon 1e-6 of the released SMORe code.
    """

    def __init__(self, lead: Sequence[int], size: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(*lead, 1, size))
        self.shift = nn.Parameter(torch.zeros(*lead, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (prod(L), B, size) to the same shape."""
        normal = layer_norm(x, x.shape[-1:], eps=1e-6)
        scale, shift = self.scale.flatten(0, -3), self.shift.flatten(0, -3)
        return torch.addcmul(shift, normal, scale)


# book/learning/networks.md, section "A multilayer perceptron"
class MLP(nn.Module):
    """Stack linear layers with ReLU between them, one stack per leading index.

    Args:
        lead: leading axes L of the parameters.
        sizes: layer widths, input first and output last.
        normalise: apply `LayerNorm` after each hidden linear layer.
        activation: what follows each hidden layer.
    """

    def __init__(
        self,
        lead: Sequence[int],
        sizes: Sequence[int],
        normalise: bool = False,
        activation: Callable[[Tensor], Tensor] = torch.relu_,
    ):
        super().__init__()
        self.lead, self.activation = tuple(lead), activation
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.layers = nn.ModuleList(Linear(lead, i, o) for i, o in pairs)
        self.norms = nn.ModuleList(
            LayerNorm(lead, o) for _, o in pairs[:-1] if normalise
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x, broadcastable to (*L, B, sizes[0]), to (*L, B, sizes[-1])."""
        x = x.expand(*self.lead, *x.shape[-2:]).flatten(0, -3)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < len(self.layers) - 1:
                x = self.norms[index](x) if self.norms else x
                x = self.activation(x)
        return x.unflatten(0, self.lead)


# book/learning/networks.md, section "Each seed starts from its own generator"
INITIALISERS = {
    "orthogonal": lambda weight, generator: nn.init.orthogonal_(
        weight, gain=math.sqrt(2), generator=generator
    ),
    "xavier": lambda weight, generator: nn.init.xavier_uniform_(
        weight, generator=generator
    ),
}


def initialise(
    networks: nn.Module, seeds: Sequence[int], scheme: str = "orthogonal"
) -> None:
    """Fill the weights of every `Linear` in place, seed by seed.

    Args:
        networks: a module on the CPU whose layers lead with len(seeds).
        seeds: the random seeds, one for each index of the seed axis.
        scheme: "orthogonal" (gain sqrt 2) or "xavier" (uniform).

    Raises:
        ValueError: unknown scheme, or seeds that do not fit the seed axis.

    Source: Saxe et al. (2014) and Glorot and Bengio (2010).
    """
    if scheme not in INITIALISERS:
        known = ", ".join(INITIALISERS)
        raise ValueError(f"unknown initialisation {scheme!r}; known: {known}")
    layers = [m for m in networks.modules() if isinstance(m, Linear)]
    for layer in layers:
        if len(layer.weight) != len(seeds):
            held = len(layer.weight)
            raise ValueError(f"networks hold {held} seeds, got {len(seeds)}")
    for index, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        for layer in layers:
            shape = layer.weight.shape[-2:]
            for weight in layer.weight.data[index].reshape(-1, *shape):
                INITIALISERS[scheme](weight, generator)


# book/learning/networks.md, section "Critics, values and policies"
class Critic(nn.Module):
    """Score state, action and goal with K independent networks per seed."""

    def __init__(
        self, seeds: int, critics: int, inputs: int, hidden: Sequence[int]
    ):
        super().__init__()
        self.network = MLP((seeds, critics), (inputs, *hidden, 1))

    def forward(
        self, states: Tensor, actions: Tensor, goals: Tensor
    ) -> Tensor:
        """Map (N, B, O), (N, B, A), (N, B, G) to scores (N, K, B)."""
        x = torch.cat((states, actions, goals), dim=-1)
        return self.network(x.unsqueeze(1)).squeeze(-1)


# book/learning/networks.md, section "Critics, values and policies"
class Value(nn.Module):
    """Value a state and goal with one layer-normalised network per seed."""

    def __init__(self, seeds: int, inputs: int, hidden: Sequence[int]):
        super().__init__()
        self.network = MLP((seeds,), (inputs, *hidden, 1), normalise=True)

    def forward(self, states: Tensor, goals: Tensor) -> Tensor:
        """Map (N, B, O), (N, B, G) to values (N, B)."""
        return self.network(torch.cat((states, goals), dim=-1)).squeeze(-1)


# book/learning/networks.md, section "Critics, values and policies"
class GaussianPolicy(nn.Module):
    """Give the mean and spread of actions, one network per seed."""

    def __init__(
        self, seeds: int, inputs: int, actions: int, hidden: Sequence[int]
    ):
        super().__init__()
        self.network = MLP((seeds,), (inputs, *hidden, actions))
        self.log_std = nn.Parameter(torch.zeros(seeds, 1, actions))

    def forward(self, states: Tensor, goals: Tensor) -> Tensor:
        """Map (N, B, O), (N, B, G) to mean actions (N, B, A) in (-1, 1)."""
        return self.network(torch.cat((states, goals), dim=-1)).tanh()

    def log_prob(self, means: Tensor, actions: Tensor) -> Tensor:
        """Map means and actions, both (N, B, A), to log-densities (N, B)."""
        log_std = self.log_std.clamp(-5.0, 2.0)
        z = (actions - means) * (-log_std).exp()
        log_density = -0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)
        return log_density.sum(dim=-1)


# book/learning/networks.md, section "A network held still"
def hold(network: nn.Module, *inputs: Tensor) -> Tensor:
    """Apply `network` to `inputs`, of which alone the result has gradients."""
    fixed = {name: p.detach() for name, p in network.named_parameters()}
    return functional_call(network, fixed, inputs)
