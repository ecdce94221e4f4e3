"""A stack of M independent fully connected networks, with gradients in closed form.

One member maps x to ``p = softmax(V h_L + b)`` with ``h_l = phi(W_l h_{l-1})``, ``h_0 = x``: hidden layers without
bias, phi tanh or ReLU, cross-entropy averaged over the mini-batch (Zhang et al., arXiv 2107.09437, Section 2). Every
tensor carries the member axis first, weights are ``[M, in, out]``.

The gradient of a weight is the product of two thin matrices, ``dW_l = h_{l-1}^T delta_l``. It is returned as that pair
of factors, so that an optimizer can fold its update into the product (see optimizers.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgechaos_core.conventions import ACTIVATIONS, INITIAL_J, Activation

Factors = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Stack:
    """M networks: hidden weights ``[M, in, width]``, output ``[M, width, classes]``, bias ``[M, 1, classes]``."""

    hidden: tuple[Tensor, ...]
    output: Tensor
    bias: Tensor
    activation: Activation

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Hidden weights, output weight, bias: the order of the gradient factors."""
        return (*self.hidden, self.output, self.bias)


def initialise(
    seeds: Sequence[int],
    *,
    inputs: int,
    width: int,
    depth: int = 1,
    classes: int = 10,
    activation: Activation = "tanh",
    initial_J: float | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Stack:
    """Draw a stack with one member per seed; a member depends on its own seed alone, not on stack, device or dtype.

    tanh: ``W_ij ~ N(0, J^2 / fan_in)`` in every hidden layer, J being ``initial_J`` (None: 1/2, as published); networks
    that differ in J alone start from the same numbers, scaled. ReLU: uniform with that variance (None:
    Glorot-uniform, as published). V is Glorot-uniform and b = 0 in both. The first weight is ``[M, inputs, width]``,
    any further ``[M, width, width]``. Raises ValueError for an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose from {', '.join(ACTIVATIONS)}")
    # The number after the seed names a stream, so that no two uses of a seed share their numbers: 0 weights, 1
    # shuffles, 2 phase diagrams, 3 starts, 4 tangent vectors, 5 shuffled matrices. NumPy draws in double precision on
    # the CPU: the same start on every device, in every precision and in every stack.
    generators = [np.random.default_rng([seed, 0]) for seed in seeds]
    shapes = [(inputs if layer == 0 else width, width) for layer in range(depth)]

    def draw(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
        if activation == "tanh":
            return _gaussian(shape, generator, INITIAL_J if initial_J is None else initial_J)
        return _glorot_uniform(shape, generator) if initial_J is None else _uniform(shape, generator, initial_J)

    def stacked(members: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(members)).to(device=device, dtype=dtype).contiguous()

    hidden = tuple(stacked([draw(shape, generator) for generator in generators]) for shape in shapes)
    # Kept class by class in memory: products with 10 columns run 2-4 x faster on rows of `width`.
    output = stacked([_glorot_uniform((width, classes), generator).T for generator in generators]).transpose(1, 2)
    bias = torch.zeros(len(seeds), 1, classes, device=device, dtype=dtype)
    return Stack(hidden, output, bias, activation)


def _gaussian(shape: tuple[int, int], generator: np.random.Generator, J: float) -> np.ndarray:
    return generator.normal(scale=J / np.sqrt(shape[0]), size=shape)


def _uniform(shape: tuple[int, int], generator: np.random.Generator, J: float) -> np.ndarray:
    limit = J * np.sqrt(3 / shape[0])  # a uniform number in [-a, a] has the variance a^2 / 3
    return generator.uniform(-limit, limit, size=shape)


def _glorot_uniform(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    limit = np.sqrt(6 / sum(shape))
    return generator.uniform(-limit, limit, size=shape)


class Workspace:
    """The buffers of one pass over a batch of fixed size: ``x`` ``[M, B, in]`` and ``labels`` ``[M, B]`` are the input.

    Allocated once: on a CPU, fresh 100 KB tensors in every step cost a tenth of it in page faults.
    """

    def __init__(self, stack: Stack, batch_size: int) -> None:
        members, inputs, _ = stack.hidden[0].shape
        classes, like = stack.bias.shape[-1], stack.bias

        def buffers() -> list[Tensor]:
            return [like.new_empty(members, batch_size, weight.shape[-1]) for weight in stack.hidden]

        self.x = like.new_empty(members, batch_size, inputs)
        self.labels = torch.empty(members, batch_size, dtype=torch.int64, device=like.device)
        self.hidden, self.deltas = buffers(), buffers()
        self.log_p = like.new_empty(members, classes, batch_size).mT  # class by class, as the output weight is kept
        self.delta = like.new_empty(members, classes, batch_size).mT
        self.ones = like.new_ones(members, batch_size, 1)
        # tensors, as scatter_add_ and the first argument of torch.add are
        self.minus_one = like.new_full((members, batch_size, 1), -1.0)


def forward(stack: Stack, workspace: Workspace) -> Tensor:
    """Fill the hidden layers from ``workspace.x`` and return log p ``[M, B, classes]``."""
    below = workspace.x
    for weight, h in zip(stack.hidden, workspace.hidden, strict=True):
        _activated_product(below, weight, h, workspace.minus_one, stack.activation)
        below = h
    # As V^T h^T, so that the result lies class by class in memory, as V and log p do.
    logits = torch.baddbmm(stack.bias.mT, stack.output.mT, below.mT)
    torch.log_softmax(logits, dim=1, out=workspace.log_p.mT)
    return workspace.log_p


def log_likelihood(workspace: Workspace, out: Tensor | None = None) -> Tensor:
    """Return log p of each sample's label, ``[M, B]``, after `forward`: minus its cross-entropy."""
    out = torch.empty_like(workspace.labels, dtype=workspace.x.dtype) if out is None else out
    torch.gather(workspace.log_p, -1, workspace.labels.unsqueeze(-1), out=out.unsqueeze(-1))
    return out


def gradient_factors(stack: Stack, workspace: Workspace) -> Factors:
    """Return, for each parameter, the two factors whose product is its gradient, after `forward`.

    Factors are (left ``[M, B, in]``, right ``[M, B, out]``) with gradient ``left^T right`` of the mean cross-entropy:
    ``delta_{L+1} = (p - onehot(y)) / B``, ``delta_l = (delta_{l+1} W_{l+1}^T) * phi'(.)``. The bias is the weight of a
    constant input. They are views of the workspace: use them before the next pass.
    """
    batch_size = workspace.x.shape[1]
    delta = torch.exp(workspace.log_p, out=workspace.delta)
    # p - onehot(y), without the matrix of ones and zeros.
    delta.scatter_add_(-1, workspace.labels.unsqueeze(-1), workspace.minus_one).mul_(1 / batch_size)
    layers = [workspace.x, *workspace.hidden]
    factors = [(workspace.ones, delta), (layers[-1], delta)]
    above = (*stack.hidden[1:], stack.output)
    for layer in reversed(range(len(stack.hidden))):
        below, delta = delta, workspace.deltas[layer]
        torch.bmm(below, above[layer].mT, out=delta)
        _backward_(delta, workspace.hidden[layer], stack.activation)
        factors.append((layers[layer], delta))
    return factors[::-1]


def _activated_product(x: Tensor, weight: Tensor, h: Tensor, minus_one: Tensor, activation: Activation) -> None:
    """``h <- phi(x W)``."""
    if activation == "relu":
        torch.bmm(x, weight, out=h).relu_()
    elif h.is_cuda:
        torch.bmm(x, weight, out=h).tanh_()
    else:  # tanh(a) = 2 sigmoid(2 a) - 1, to an absolute 1e-7: on a CPU a third of tanh_'s time
        h.baddbmm_(x, weight, beta=0, alpha=2).sigmoid_()
        torch.add(minus_one, h, alpha=2, out=h)


def _backward_(delta: Tensor, h: Tensor, activation: Activation) -> None:
    """``delta <- delta * phi'``, with phi' from h = phi(a): ``1 - h^2`` for tanh, ``h > 0`` for ReLU."""
    if activation == "relu":
        torch.ops.aten.threshold_backward.grad_input(delta, h, 0, grad_input=delta)
    else:
        # PyTorch's own kernel of the derivative, in place: a third of the time of delta.mul_(1 - h * h), which makes
        # two more passes over memory.
        torch.ops.aten.tanh_backward.grad_input(delta, h, grad_input=delta)
