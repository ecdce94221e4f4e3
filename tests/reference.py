"""The slow readable reference: one torch.nn network, autograd and torch.optim."""

import torch
from torch import Tensor, nn

from edgechaos_core.training.network import Stack

OPTIMIZERS = {
    "sgd": lambda groups, lr, momentum: torch.optim.SGD(groups, lr=lr, momentum=momentum),
    "adam": lambda groups, lr, momentum: torch.optim.Adam(groups, lr=lr, betas=(momentum, 0.999)),
    "adamw": lambda groups, lr, momentum: torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999)),
}


def module_of(stack: Stack, member: int) -> nn.Sequential:
    """Copy one member of a stack into an nn.Sequential."""
    layers: list[nn.Module] = []
    for weight in stack.hidden:
        linear = nn.Linear(weight.shape[1], weight.shape[2], bias=False, dtype=weight.dtype)
        linear.weight.data.copy_(weight[member].T)
        layers += [linear, nn.Tanh() if stack.activation == "tanh" else nn.ReLU()]
    output = nn.Linear(stack.output.shape[1], stack.output.shape[2], dtype=stack.output.dtype)
    output.weight.data.copy_(stack.output[member].T)
    output.bias.data.copy_(stack.bias[member, 0])
    return nn.Sequential(*layers, output)


def parameters_of(module: nn.Sequential) -> list[Tensor]:
    """The module's parameters laid out as the stack's for one member: hidden, output, bias."""
    linears = [layer for layer in module if isinstance(layer, nn.Linear)]
    return [layer.weight.detach().T for layer in linears] + [linears[-1].bias.detach()[None]]


def optimizer_of(
    name: str, module: nn.Sequential, *, learning_rate: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """torch.optim with decay on the weights and none on the bias."""
    weights = [p for p in module.parameters() if p.ndim == 2]
    biases = [p for p in module.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    return OPTIMIZERS[name](groups, learning_rate, momentum)
