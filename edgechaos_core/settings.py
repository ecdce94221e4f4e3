"""Validated settings: frozen, strict, every refusal one line that names what is wrong and what is accepted."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """Base of all settings: unknown names, other types, NaN and Inf are refused."""

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
