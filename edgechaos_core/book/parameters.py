"""What a reader may set of each chapter: names, types, ranges, defaults, and which of them go together.

A chapter's cell tagged ``parameters`` holds the same names and defaults as plain ``name = literal`` lines; a test
compares the two. Ranges of what is a setting of a run or a diagram are those of RunConfig and DiagramConfig.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

from annotated_types import BaseMetadata
from pydantic import AfterValidator, Field, model_validator

from edgechaos_core.conventions import Activation
from edgechaos_core.experiments.contest import check_slow_epochs
from edgechaos_core.experiments.grids import CONTEST
from edgechaos_core.laws.scaling import epochs_to_pass
from edgechaos_core.probes.diagram import DiagramConfig
from edgechaos_core.settings import Settings, parse_settings, unrepeated
from edgechaos_core.store.runs import RunConfig, parse_config


def _like(name: str, kind: type[Settings] = RunConfig) -> Any:  # noqa: ANN401 - pydantic types its own fields so
    """Return the range of a setting."""
    limits: dict[str, Any] = {}
    for limit in kind.model_fields[name].metadata:
        if isinstance(limit, BaseMetadata) and is_dataclass(limit):
            limits |= asdict(limit)
    return Field(**limits)


Some = Field(min_length=1)
Unrepeated = AfterValidator(unrepeated)
Rate = Annotated[float, _like("learning_rate")]
Momentum = Annotated[float, _like("momentum")]
Decay = Annotated[float, _like("l2")]
Batch = Annotated[int, _like("batch_size")]
Epochs = Annotated[int, _like("epochs")]
Width = Annotated[int, _like("width")]
Samples = Annotated[int, Field(ge=1, le=60_000)]
Seed = Annotated[int, Field(ge=0, lt=2**63 - 1)]  # a chapter may also take the one after the largest
Seeds = Annotated[list[Seed], Some, Unrepeated]

SEEDS = "seeds, each of which decides the initial weights and the shuffles of one run"
SAMPLES = "training images, the first so many"
TRAIN = "train the runs that are not stored, instead of showing the stored ones alone"
RETRAIN = "train all runs anew, also those that are stored"


class ChapterParameters(Settings):
    """Base of all chapters' parameters, and the parameters of a page that has none."""


class TrainingPath(ChapterParameters):
    """Parameters of chapter training_path."""

    learning_rate: Rate = Field(0.02, description="learning rate eta")
    batch_size: Batch = Field(32, description="images in a mini-batch, B")
    momentum: Momentum = Field(0.5, description="momentum alpha")
    l2: Decay = Field(0.0, description="weight decay, as lambda of the penalty lambda ||w||^2")
    samples: Samples = Field(60_000, description=SAMPLES)
    epochs: Epochs = Field(501, description="epochs of training")
    seeds: Seeds = Field([0, 1, 2], description=SEEDS)
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _trainable(self) -> "TrainingPath":
        parse_config(self.model_dump(exclude={"seeds", "retrain"}))
        return self


class PhaseDiagram(ChapterParameters):
    """Parameters of chapter phase_diagram."""

    activation: Activation = Field("tanh", description="activation function of the units")
    neurons: Annotated[int, _like("neurons", DiagramConfig)] = Field(4000, description="units of the network, N")
    rows: Annotated[int, _like("rows", DiagramConfig)] = Field(100, description="cells of the map along 1/J")
    columns: Annotated[int, Field(ge=2, le=10_000)] = Field(151, description="cells of the map along J0/J")
    iterations: Annotated[int, _like("iterations", DiagramConfig)] = Field(500, description="iterations of each cell")
    draws: Annotated[int, _like("draws", DiagramConfig)] = Field(1, description="random matrices for each cell")
    seed: Annotated[int, _like("seed", DiagramConfig)] = Field(0, description="seed of the random matrices")

    @model_validator(mode="after")
    def _simulated(self) -> "PhaseDiagram":
        parse_settings(DiagramConfig, self.model_dump())
        return self


class OrderedScaling(ChapterParameters):
    """Parameters of chapter ordered_scaling."""

    learning_rates: Annotated[list[Rate], Some, Unrepeated] = Field(
        [0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1],
        description="learning rates, each at momentum 0 and batch size 32",
    )
    momentums: Annotated[list[Momentum], Some, Unrepeated] = Field(
        [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95],
        description="momenta, each at learning rate 0.01 and batch size 32",
    )
    batch_sizes: Annotated[list[Batch], Some, Unrepeated] = Field(
        [4, 8, 16, 24, 32, 64, 128, 192, 256, 512],
        description="batch sizes, each at learning rate 0.01 and momentum 0",
    )
    samples: Samples = Field(60_000, description=SAMPLES)
    epochs: Epochs = Field(50, description="epochs of the runs whose slope is fitted over the published window")
    passage_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        120, description="settings that pass the edge within so many epochs are trained up to it"
    )
    with_stored: bool = Field(True, description="also show stored runs of slower settings")
    seed: Seed = Field(0, description="seed of the initial weights and the shuffles")
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _trainable(self) -> "OrderedScaling":
        varied: dict[str, Sequence[float]] = {
            "learning_rate": self.learning_rates,
            "momentum": self.momentums,
            "batch_size": self.batch_sizes,
        }
        for name, values in varied.items():
            for value in values:
                config = parse_config({"learning_rate": 0.01, "samples": self.samples, name: value})
                try:
                    needed: float = epochs_to_pass(config)
                except (OverflowError, ZeroDivisionError):
                    needed = math.inf
                _check_length(f"{name} {value:g}", needed)
        return self


class Rescaling(ChapterParameters):
    """Parameters of chapter rescaling."""

    learning_rates: Annotated[list[Rate], Field(min_length=2)] = Field(
        [0.02, 0.01, 0.01, 0.005, 0.0025], description="learning rates, of the reference first, paired with momentums"
    )
    momentums: Annotated[list[Momentum], Field(min_length=2)] = Field(
        [0.5, 0.5, 0.0, 0.0, 0.0], description="momenta, one for each learning rate"
    )
    batch_sizes: Annotated[list[Batch], Some, Unrepeated] = Field(
        [8, 16, 64, 128], description="batch sizes with the reference's scale factor, each with its learning rate"
    )
    samples: Samples = Field(60_000, description=SAMPLES)
    epochs: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        125, description="epochs of the reference; others train for the same rescaled time"
    )
    equal_epochs: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        150, description="epochs of the runs that share the reference's scale factor"
    )
    seeds: Annotated[list[Seed], Field(min_length=2), Unrepeated] = Field(
        [0, 1, 2], description="seeds of the reference, whose scatter is what the others are measured by"
    )
    with_validation: bool = Field(True, description="show what speed costs, from stored runs with a validation split")
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _paired(self) -> "Rescaling":
        rates, momentums = self.learning_rates, self.momentums
        if len(rates) != len(momentums):
            raise ValueError(
                f"learning_rates and momentums must be pairs, lists of one length, got {rates} and {momentums}"
            )
        pairs = list(zip(rates, momentums, strict=True))
        if len(set(pairs)) < len(pairs):
            raise ValueError(f"learning_rates and momentums must not repeat a pair, got {rates} and {momentums}")
        speeds = [rate / (1 - momentum) for rate, momentum in pairs]
        for (rate, momentum), speed in zip(pairs, speeds, strict=True):
            _check_length(f"learning rate {rate:g} with momentum {momentum:g}", self.epochs * speeds[0] / speed)
        for size in self.batch_sizes:
            parse_config({"learning_rate": rates[0] * size / 32, "batch_size": size, "samples": self.samples})
        return self


class WeightDecay(ChapterParameters):
    """Parameters of chapter weight_decay."""

    l2s: Annotated[list[Decay], Some, Unrepeated] = Field(
        [0.0, 1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4, 5e-4, 1e-3],
        description="strengths of weight decay, as lambda of the penalty lambda ||w||^2",
    )
    samples: Samples = Field(60_000, description=SAMPLES)
    epochs: Epochs = Field(250, description="epochs of training")
    seeds: Seeds = Field([0, 1, 2], description=SEEDS)
    train: bool = Field(False, description=TRAIN)
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _trainable(self) -> "WeightDecay":
        parse_config({"samples": self.samples})
        return self


class Guideline(ChapterParameters):
    """Parameters of chapter guideline."""

    sizes: Annotated[list[Annotated[int, Field(ge=32, le=60_000)]], Unrepeated] = Field(
        [], description="training images of networks to try, width 784; none and no widths: the chapter's own settings"
    )
    widths: Annotated[list[Width], Unrepeated] = Field(
        [], description="widths of networks to try, on 20,000 images; none and no sizes: the chapter's own settings"
    )
    epochs: Epochs | None = Field(
        None, description="epochs of the networks of sizes and widths; none: as many as 20,000 rescaled steps take"
    )
    seeds: Seeds = Field([0, 1, 2], description=SEEDS)
    train: bool = Field(False, description=TRAIN)
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _asked(self) -> "Guideline":
        if self.epochs is not None and not (self.sizes or self.widths):
            raise ValueError(
                f"epochs is for networks of sizes or widths: give one of them too, got epochs={self.epochs}"
            )
        if 20_000 in self.sizes and 784 in self.widths:
            raise ValueError("sizes 20000 and widths 784 are the same network: leave one of them out")
        return self


class Search(ChapterParameters):
    """Parameters of chapter search."""

    samples: Samples = Field(50_000, description="images that the trials of a search train on")
    validation: Samples = Field(10_000, description="other images, on which a search judges its trials")
    epochs: Epochs = Field(48, description="epochs at the setting's learning rate")
    slow_epochs: Epochs = Field(10, description="further epochs at a tenth of it, at least a tenth of all")
    trials: Annotated[int, Field(ge=1, le=10_000)] = Field(30, description="trials of each search")
    seeds: Seeds = Field([0, 1, 2], description=SEEDS)
    train: bool = Field(False, description=TRAIN)
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _trainable(self) -> "Search":
        parse_config(CONTEST | {"samples": self.samples, "validation": self.validation, "epochs": self.epochs})
        parse_config(CONTEST | {"epochs": self.epochs + self.slow_epochs})
        check_slow_epochs(self.epochs, self.slow_epochs)
        return self


class LabelNoise(ChapterParameters):
    """Parameters of chapter label_noise."""

    samples: Samples = Field(60_000, description="training images, labels shuffled or not")
    label_noises: Annotated[list[Annotated[float, _like("label_noise")]], Some, Unrepeated] = Field(
        [0.0, 0.2, 0.4], description="shares of the training images whose labels are shuffled among themselves"
    )
    epochs: Epochs = Field(48, description="epochs of the runs of all shares and seeds")
    long_epochs: Epochs = Field(240, description="epochs of the longer runs: the largest share, the first seed")
    seeds: Seeds = Field([0, 1, 2], description=SEEDS)
    train: bool = Field(False, description=TRAIN)
    retrain: bool = Field(False, description=RETRAIN)

    @model_validator(mode="after")
    def _trainable(self) -> "LabelNoise":
        parse_config(CONTEST | {"samples": self.samples})
        return self


def _check_length(setting: str, epochs: float) -> None:
    longest = 1_000_000
    if not epochs <= longest:
        raise ValueError(f"{setting} is too slow: it would take {epochs:.3g} epochs, and a run has at most {longest:,}")


PARAMETERS: dict[str, type[ChapterParameters]] = {
    "training_path": TrainingPath,
    "phase_diagram": PhaseDiagram,
    "ordered_scaling": OrderedScaling,
    "rescaling": Rescaling,
    "weight_decay": WeightDecay,
    "guideline": Guideline,
    "search": Search,
    "label_noise": LabelNoise,
}
