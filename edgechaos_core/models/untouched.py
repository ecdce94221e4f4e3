"""Run a model so that nothing of it changes: on copies of all its tensors, with all that it keeps put back afterwards.

Every object that the model holds is gone through once, whatever the number of names that it has: modules, lists, dicts,
sets, deques, tuples, dataclasses and generators of random numbers. In each, a tensor's place is taken by its copy, and
the contents as they were, the same objects, come back at the end. Names play no part, so that none can be missed.
"""

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
_SEQUENCES = (list, deque)


class Copies:
    """Copies of tensors in the places of the tensors, in all that is reached from a module; ``undo`` puts all back.

    ``modules`` are those that were reached, also in plain lists. Objects of other classes are not looked into.
    """

    def __init__(self, copy: Callable[[Tensor], Tensor], undo: ExitStack) -> None:
        self.modules: list[nn.Module] = []
        self._copy, self._undo = copy, undo
        self._seen: dict[int, tuple[Any, Any]] = {}  # by id: the object, kept so that no id is used twice; what stands

    def of(self, tensor: Tensor) -> Tensor:
        """Return the copy that stands in a tensor's place, the same for all names of the tensor."""
        copy: Tensor = self.put(tensor)
        return copy

    def put(self, value: Any) -> Any:  # noqa: ANN401 - whatever a module holds
        """Return what stands in a value's place: a copy of a tensor, a tuple of copies, or the value with its own."""
        if id(value) in self._seen:
            return self._seen[id(value)][1]
        if isinstance(value, Tensor):
            return self._see(value, self._copy(value))
        if type(value) is tuple or (isinstance(value, tuple) and hasattr(value, "_fields")):
            parts = [self.put(each) for each in value]
            if all(new is old for new, old in zip(parts, value, strict=True)):
                return value
            return self._see(value, type(value)(*parts) if hasattr(value, "_fields") else tuple(parts))
        self._see(value, value)
        if isinstance(value, nn.Module):
            self.modules.append(value)
            self._in_mapping(value.__dict__)
        elif isinstance(value, SimpleNamespace) or (is_dataclass(value) and not isinstance(value, type)):
            self._in_mapping(getattr(value, "__dict__", {}))
        elif type(value) in _MAPPINGS:
            self._in_mapping(value)
        elif type(value) in _SEQUENCES or type(value) is set:
            self._in_collection(value)
        elif (restore := _state_of(value)) is not None:
            self._undo.callback(restore)
        return value

    def _see(self, value: Any, standing: Any) -> Any:  # noqa: ANN401
        self._seen[id(value)] = value, standing
        return standing

    def _in_mapping(self, held: dict[Any, Any]) -> None:
        before = dict(held)

        def restore() -> None:
            held.clear()
            held.update(before)

        self._undo.callback(restore)
        for key, value in before.items():
            held[key] = self.put(value)

    def _in_collection(self, held: Any) -> None:  # noqa: ANN401 - a list, deque or set
        before = list(held)
        refill = held.update if isinstance(held, set) else held.extend

        def restore() -> None:
            held.clear()
            refill(before)

        self._undo.callback(restore)
        standing = [self.put(each) for each in before]
        held.clear()
        refill(standing)


def _state_of(value: Any) -> Callable[[], Any] | None:  # noqa: ANN401
    """Return what sets a generator of random numbers or an array back to how it is now; None for other objects."""
    if isinstance(value, torch.Generator):
        kept = value.get_state()
        return lambda: value.set_state(kept)
    if isinstance(value, random.Random):
        python = value.getstate()
        return lambda: value.setstate(python)
    if isinstance(value, np.random.RandomState):
        older = value.get_state()
        return lambda: value.set_state(older)
    if isinstance(value, np.random.Generator):
        bits, numbers = value.bit_generator, value.bit_generator.state
        return lambda: setattr(bits, "state", numbers)
    if isinstance(value, np.ndarray) and value.flags.writeable:
        array = value.copy()
        return lambda: np.copyto(value, array)
    return None


def _use_libraries(mkldnn: bool, cudnn: bool) -> None:
    """Set both without the contexts of torch.backends, which write other settings too, and warn of some."""
    torch._C._set_mkldnn_enabled(mkldnn)
    torch._C._set_cudnn_enabled(cudnn)


@contextmanager
def untouched(model: nn.Module, copy: Callable[[Tensor], Tensor]) -> Iterator[Copies]:
    """Evaluate within, on copies, but for batch normalisation, which does as the mode says; leave all as it was before.

    Within, ``copy(tensor)`` stands in the place of each tensor that the model holds. Put back, also after an error, are
    parameters, buffers, hooks, modes, what modules keep themselves, and the states of their random numbers and of
    those of Python, NumPy and torch, CPU and CUDA.
    """
    states, fast = (random.getstate(), np.random.get_state()), torch.backends.mha.get_fastpath_enabled()
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    libraries = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    with ExitStack() as undo, torch.random.fork_rng(devices=cuda), torch.no_grad():
        undo.callback(np.random.set_state, states[1])
        undo.callback(random.setstate, states[0])
        undo.callback(torch.backends.mha.set_fastpath_enabled, fast)
        undo.callback(_use_libraries, *libraries)
        copies = Copies(copy, undo)
        copies.put(model)
        # the libraries' own recurrent layers would hide the weights in one operation
        if any(isinstance(module, nn.RNNBase) for module in copies.modules):
            _use_libraries(False, False)
        for module in copies.modules:
            batch = isinstance(module, nn.modules.batchnorm._BatchNorm)
            module.training = module.training and batch
        torch.backends.mha.set_fastpath_enabled(False)  # it would hide the weights in one operation
        yield copies
