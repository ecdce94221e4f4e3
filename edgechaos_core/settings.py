"""Validated settings: frozen, strict, every refusal one line that names what is wrong and what is accepted."""

import types
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """Base of all settings: unknown names, other types, NaN and Inf are refused."""

    # strict: text that looks like a number is refused, not converted
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=Settings)


def parse_settings(kind: type[AnySettings], values: Mapping[str, Any]) -> AnySettings:
    """Validate settings; raise ValueError with one line naming every bad one and what is accepted."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ValueError(describe(error, kind)) from None


def describe(error: ValidationError, kind: type[Settings]) -> str:
    """Put a pydantic error in one line: ``learning_rate must be greater than 0, got -1.0; ...``."""
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = f"unknown setting {name!r}: choose from {', '.join(kind.model_fields)}"
        elif message.startswith("Input should"):
            message = f"{name} must{message.removeprefix('Input should')}, got {item['input']!r}"
        lines.append(message)
    return "; ".join(lines)


def unrepeated(values: list[Any]) -> list[Any]:
    """Return a list as it is; raise ValueError where it has a value twice."""
    if len(set(values)) < len(values):
        raise ValueError("no value may stand in it twice")
    return values


def accepted(kind: type[Settings], name: str) -> str:
    """Say what a setting accepts, to follow "must be": ``a whole number from 1 to 100``."""
    field = kind.model_fields[name]
    return _said(field.annotation, field.metadata)


_WORDS: dict[Any, tuple[str, str]] = {  # a type, in the singular and in the plural
    bool: ("true or false", "true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
}


def _said(annotation: Any, metadata: list[Any], plural: bool = False) -> str:  # noqa: ANN401 - any type's annotation
    if get_origin(annotation) is Annotated:
        annotation, *own = get_args(annotation)
        metadata = [*own, *metadata]
    limits: dict[str, Any] = {}
    for part in metadata:
        for limit in getattr(part, "metadata", [part]):  # a pydantic Field holds its limits in a list
            if isinstance(limit, annotated_types.BaseMetadata) and is_dataclass(limit):
                limits |= asdict(limit)
    if get_origin(annotation) is list:
        fewest = limits.get("min_length", 0)
        size = f"list of at least {fewest}" if fewest > 1 else "non-empty list of" if fewest else "list of"
        items = _said(get_args(annotation)[0], [], plural=True)
        once = AfterValidator(unrepeated) in metadata
        return f"a {size} {items}{', none twice' if once else ''}"
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (types.UnionType, Union):
        one, _ = get_args(annotation)  # of X | None
        return f"{_said(one, metadata)}, or none"
    return _WORDS[annotation][plural] + _range(limits)


def _range(limits: Mapping[str, Any]) -> str:
    if {"ge", "le"} <= limits.keys():
        return f" from {limits['ge']:,} to {limits['le']:,}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    said = [f"{words[name]} {limits[name]:,}" for name in words if name in limits]
    return f" {' and '.join(said)}" if said else ""
