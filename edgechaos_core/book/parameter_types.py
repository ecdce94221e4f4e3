"""What chapters' parameters are made of: ranges, those of settings of runs and diagrams, and fields that many share."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Self, TypeVar

from annotated_types import BaseMetadata
from pydantic import AfterValidator, Field, model_validator

from edgechaos_core.settings import Settings, unrepeated
from edgechaos_core.store.runs import RunConfig, parse_config


def like(name: str, kind: type[Settings] = RunConfig) -> Any:  # noqa: ANN401 - pydantic types its own fields so
    """Return the range of a setting."""
    limits: dict[str, Any] = {}
    for limit in kind.model_fields[name].metadata:
        if isinstance(limit, BaseMetadata) and is_dataclass(limit):
            limits |= asdict(limit)
    return Field(**limits)


Value = TypeVar("Value")
Unrepeated = AfterValidator(unrepeated)
Varied = Annotated[list[Value], Field(min_length=1), Unrepeated]
Rate = Annotated[float, like("learning_rate")]
Momentum = Annotated[float, like("momentum")]
Decay = Annotated[float, like("l2")]
Batch = Annotated[int, like("batch_size")]
Epochs = Annotated[int, like("epochs")]
Samples = Annotated[int, Field(ge=1, le=60_000)]
Seed = Annotated[int, Field(ge=0, lt=2**63 - 1)]  # a chapter may also take the one after the largest
Seeds = Varied[Seed]

SEEDS = Field([0, 1, 2], description="seeds, each of which decides the initial weights and the shuffles of one run")
SAMPLES = Field(60_000, description="training images, the first so many")
TRAIN = Field(False, description="train the runs that are not stored, instead of showing the stored ones alone")
TRAIN_OTHERS = Field(False, description="also train what is not stored of the other tests, which takes days")
RETRAIN = Field(False, description="train all runs anew, also those that are stored")


class ChapterParameters(Settings):
    """Base of all chapters' parameters, and the parameters of a page that has none."""

    def trained_settings(self) -> Sequence[Mapping[str, Any]]:
        """Return settings that a chapter trains with, as far as its parameters might not be accepted as such."""
        return ()

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        for settings in self.trained_settings():
            parse_config(settings)
        return self


def check_length(setting: str, epochs: float) -> None:
    """Raise ValueError for a setting that would take more epochs than a run may have."""
    longest = 1_000_000
    if not epochs <= longest:
        raise ValueError(f"{setting} is too slow: it would take {epochs:.3g} epochs, and a run has at most {longest:,}")
