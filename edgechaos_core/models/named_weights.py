"""All weights of a model by name, and where a forward pass uses each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from edgechaos_core.models.fan_in import GATES, LayerWeight, weights_of
from edgechaos_core.models.following import ACTIVATIONS, Following, following
from edgechaos_core.models.forward import LOOKUPS, PRODUCTS, Call, Passed


@dataclass(frozen=True, eq=False)
class NamedWeight:
    """A weight of a model: ``found`` as fan_in.py knows it, or ``refusal`` why it does not.

    ``prefix`` is the module's name with a dot, and ``base`` the name of the parameter in it.
    """

    prefix: str
    base: str
    module: nn.Module
    tensor: Tensor | None
    found: LayerWeight | None = None
    refusal: str = ""

    @property
    def name(self) -> str:
        """The full name, with the part of the parameter that it is."""
        return self.prefix + (self.found.name if self.found else self.base)


@dataclass(frozen=True, eq=False)
class Use:
    """A product with a weight in a forward pass, and the ``columns`` of its result that are the weight's, None: all."""

    call: Call
    columns: slice | None = None


def numberless(parameter: Tensor) -> bool:
    """Tell whether a parameter is lazy or on the meta device."""
    return is_lazy(parameter) or parameter.is_meta


def named_weights(model: nn.Module) -> Iterator[NamedWeight]:
    """Go through all weights of a model, modules in their order: matrices, and what has two dimensions or more."""
    for path, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue
        prefix = f"{path}." if path else ""
        try:
            found, refusal = weights_of(module), ""
        except ValueError as error:
            found, refusal = [], str(error)
        for each in found:
            yield NamedWeight(prefix, each.name.split(" ")[0], module, each.tensor, each)
        known = {id(each.tensor) for each in found}
        for name, own in module._parameters.items():
            # parameters that hooks compute a weight from belong to it
            part_of_known = found and name.endswith(("_g", "_v", "_orig"))
            lazy_bias = own is not None and numberless(own) and "bias" in name
            if own is None or id(own) in known or part_of_known or lazy_bias:
                continue
            if is_lazy(own) or own.ndim > 1:
                hooked = "is computed from" in refusal and name.endswith(("_g", "_v", "_orig"))
                # tokens and positions are no weights of a layer
                why = refusal if hooked or name.endswith("weight") else ""
                why = why or f"{name} of {type(module).__name__} is not a weight that is known to sum inputs"
                yield NamedWeight(prefix, name, module, own, None, why)
        if not found and "quantized" in type(module).__module__ and callable(getattr(module, "weight", None)):
            why = f"weight of {type(module).__name__} is quantised or packed: measure it before that"
            yield NamedWeight(prefix, "weight", module, None, None, why)


def refuse_unknown(model: nn.Module, keep: Collection[str]) -> None:
    """Raise ValueError for names to keep that are of no module and of no parameter of a model."""
    if isinstance(keep, str) or not all(isinstance(name, str) for name in keep):
        raise ValueError(f"keep must be a collection of names of modules or parameters, got {keep!r}")
    names = {name for name, _ in model.named_modules()} | {name for name, _ in model.named_parameters()}
    for name in keep:
        if name not in names or not name:
            raise ValueError(f"keep names {name!r}, which the model has neither as a module nor as a parameter")


def kept_as(weight: str, keep: Collection[str]) -> str:
    """Return the name in ``keep`` that a weight falls under, or nothing."""
    return next((name for name in keep if weight == name or weight.startswith((f"{name}.", f"{name} ("))), "")


def uses_of(weight: NamedWeight, passed: Passed, names: dict[int, str], used: set[Call]) -> list[Use]:
    """Return the products with a weight in a pass, in order; of a tied one, those not in ``used`` by others before.

    ``names`` are the model's names of its parameters, by id: a tied one has but one.
    """
    own = f"{weight.prefix}{weight.base}"
    known = {own, f"{own}_g", f"{own}_v", f"{own}_orig", names.get(id(weight.tensor), own)}
    original = f"{weight.prefix}parametrizations.{weight.base}.original"
    looks_up = isinstance(weight.module, (nn.Embedding, nn.EmbeddingBag))
    calls = [
        call
        for call in passed.calls
        if call.returned is not None
        and call.name in PRODUCTS
        and (call.name in LOOKUPS) == looks_up
        and any(source in known or source.startswith(original) for source in call.weights)
    ]
    rows = weight.found.rows if weight.found else None
    if rows is None:
        calls = [call for call in calls if call not in used] or calls
        used.update(calls[:1])
        return [Use(call) for call in calls]
    found, start = [], 0
    for call in calls:  # a projection of attention may be one product, or several of parts of the tensor
        width = call.returned.shape[-1] if call.returned is not None else 0
        if start <= rows.start and rows.stop <= start + width:
            found.append(Use(call, slice(rows.start - start, rows.stop - start)))
            break
        start += width
    return found


def gated(weight: NamedWeight) -> bool:
    """Tell whether a weight is of a recurrent layer with gates, whose edge no theory of a single gate gives."""
    return isinstance(weight.module, tuple(GATES))


def after(weight: NamedWeight, use: Use, passed: Passed) -> Following:
    """Return what follows a use of a weight; in recurrent layers what the layer is made of."""
    if gated(weight):
        gate = weight.found.name.removesuffix(")")[-1] if weight.found and weight.found.rows else ""
        return Following({"": "none", "g": "tanh", "n": "tanh"}.get(gate, "sigmoid"))
    kind = getattr(weight.module, "nonlinearity", None)
    if isinstance(weight.module, (nn.RNNBase, nn.RNNCellBase)) and isinstance(kind, str):
        later = passed.calls[passed.calls.index(use.call) :]
        return Following(ACTIVATIONS[kind], next((c for c in later if c.name.rstrip("_") == kind), None))
    return following(passed, use.call.writes[0])


def bias_variance(weight: NamedWeight) -> float:
    """Return the mean square of the biases that are added to a weight's sums."""
    name = weight.base.replace("weight", "bias")
    names = {name, name.replace("_ih", "_hh"), name.replace("_hh", "_ih")}
    held = [weight.module._parameters.get(each) for each in names]
    return sum(float(each.detach().abs().double().square().mean()) for each in held if each is not None)
