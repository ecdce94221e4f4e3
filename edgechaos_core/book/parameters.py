"""What a reader may set of each chapter: names, types, ranges, defaults, and which of them go together.

A chapter's cell tagged ``parameters`` holds the same names and defaults as plain ``name = literal`` lines; a test
compares the two.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from edgechaos_core.analysis.scaling import epochs_to_pass
from edgechaos_core.book import parameter_types as common
from edgechaos_core.book.parameter_types import ChapterParameters, Varied, like
from edgechaos_core.book.principle_parameters import Deeper, Reason, YourNetwork
from edgechaos_core.conventions import Activation
from edgechaos_core.experiments.comparison import check_slow_epochs
from edgechaos_core.experiments.named_grids import CONTEST
from edgechaos_core.probes.diagram import DiagramConfig
from edgechaos_core.settings import parse_settings
from edgechaos_core.store.runs import parse_config


class TrainingPath(ChapterParameters):
    """Parameters of chapter training_path."""

    learning_rate: common.Rate = Field(0.02, description="learning rate eta")
    batch_size: common.Batch = Field(32, description="images in a mini-batch, B")
    momentum: common.Momentum = Field(0.5, description="momentum alpha")
    l2: common.Decay = Field(0.0, description="weight decay, as lambda of the penalty lambda ||w||^2")
    samples: common.Samples = common.SAMPLES
    epochs: common.Epochs = Field(501, description="epochs of training")
    seeds: common.Seeds = Field(
        [0, 1, 2, 3, 4], description="seeds, each of which decides the initial weights and the shuffles of one run"
    )
    retrain: bool = common.RETRAIN

    def trained_settings(self) -> list[dict[str, Any]]:
        return [self.model_dump(exclude={"seeds", "retrain"})]


class PhaseDiagram(ChapterParameters):
    """Parameters of chapter phase_diagram."""

    activation: Activation = Field("tanh", description="activation function of the units")
    neurons: Annotated[int, like("neurons", DiagramConfig)] = Field(4000, description="units of the network, N")
    rows: Annotated[int, like("rows", DiagramConfig)] = Field(100, description="cells of the map along 1/J")
    columns: Annotated[int, Field(ge=2, le=10_000)] = Field(151, description="cells of the map along J0/J")
    iterations: Annotated[int, like("iterations", DiagramConfig)] = Field(500, description="iterations of each cell")
    draws: Annotated[int, like("draws", DiagramConfig)] = Field(1, description="random matrices for each cell")
    seed: Annotated[int, like("seed", DiagramConfig)] = Field(0, description="seed of the random matrices")

    @model_validator(mode="after")
    def _simulated(self) -> "PhaseDiagram":
        parse_settings(DiagramConfig, self.model_dump())
        return self


class OrderedScaling(ChapterParameters):
    """Parameters of chapter ordered_scaling."""

    learning_rates: Varied[common.Rate] = Field(
        [0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1],
        description="learning rates, each at momentum 0 and batch size 32",
    )
    momentums: Varied[common.Momentum] = Field(
        [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95],
        description="momenta, each at learning rate 0.01 and batch size 32",
    )
    batch_sizes: Varied[common.Batch] = Field(
        [4, 8, 16, 24, 32, 64, 128, 192, 256, 512], description="batch sizes, each at learning rate 0.01 and momentum 0"
    )
    samples: common.Samples = common.SAMPLES
    epochs: common.Epochs = Field(50, description="epochs of the runs whose slope is fitted over the published window")
    passage_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        120, description="settings that pass the edge within so many epochs are trained up to it"
    )
    with_stored: bool = Field(True, description="also show stored runs of slower settings")
    seed: common.Seed = Field(0, description="seed of the initial weights and the shuffles")
    retrain: bool = common.RETRAIN

    @model_validator(mode="after")
    def _short_enough(self) -> "OrderedScaling":
        varied: dict[str, Sequence[float]]
        varied = {"learning_rate": self.learning_rates, "momentum": self.momentums, "batch_size": self.batch_sizes}
        for name, values in varied.items():
            for value in values:
                config = parse_config({"learning_rate": 0.01, "samples": self.samples, name: value})
                try:
                    needed: float = epochs_to_pass(config)
                except (OverflowError, ZeroDivisionError):
                    needed = math.inf
                common.check_length(f"{name} {value:g}", needed)
        return self


class Rescaling(ChapterParameters):
    """Parameters of chapter rescaling."""

    learning_rates: Annotated[list[common.Rate], Field(min_length=2)] = Field(
        [0.02, 0.01, 0.01, 0.005, 0.0025], description="learning rates, of the reference first, paired with momentums"
    )
    momentums: Annotated[list[common.Momentum], Field(min_length=2)] = Field(
        [0.5, 0.5, 0.0, 0.0, 0.0], description="momenta, one for each learning rate"
    )
    batch_sizes: Varied[common.Batch] = Field(
        [8, 16, 64, 128], description="batch sizes with the reference's scale factor, each with its learning rate"
    )
    samples: common.Samples = common.SAMPLES
    epochs: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        125, description="epochs of the reference; others train for the same rescaled time"
    )
    equal_epochs: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        150, description="epochs of the runs that share the reference's scale factor"
    )
    seeds: Annotated[list[common.Seed], Field(min_length=2), common.Unrepeated] = Field(
        [0, 1, 2], description="seeds of the reference, whose scatter is what the others are measured by"
    )
    with_validation: bool = Field(True, description="show what speed costs, from stored runs with a validation split")
    retrain: bool = common.RETRAIN

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
            common.check_length(f"learning rate {rate:g} with momentum {momentum:g}", self.epochs * speeds[0] / speed)
        for size in self.batch_sizes:
            parse_config({"learning_rate": rates[0] * size / 32, "batch_size": size, "samples": self.samples})
        return self


class WeightDecay(ChapterParameters):
    """Parameters of chapter weight_decay."""

    l2s: Varied[common.Decay] = Field(
        [0.0, 1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4, 5e-4, 1e-3],
        description="strengths of weight decay, as lambda of the penalty lambda ||w||^2",
    )
    samples: common.Samples = common.SAMPLES
    epochs: common.Epochs | None = Field(
        None, description="epochs of training; none: as many as runs of all strengths are stored for"
    )
    seeds: common.Seeds = common.SEEDS
    train: bool = common.TRAIN
    retrain: bool = common.RETRAIN

    def trained_settings(self) -> list[dict[str, Any]]:
        return [{"samples": self.samples}]


class Guideline(ChapterParameters):
    """Parameters of chapter guideline."""

    sizes: Annotated[list[Annotated[int, Field(ge=32, le=60_000)]], common.Unrepeated] = Field(
        [], description="training images of networks to try, width 784; none and no widths: the chapter's own settings"
    )
    widths: Annotated[list[Annotated[int, like("width")]], common.Unrepeated] = Field(
        [], description="widths of networks to try, on 20,000 images; none and no sizes: the chapter's own settings"
    )
    epochs: common.Epochs | None = Field(
        None, description="epochs of the networks of sizes and widths; none: as many as 20,000 rescaled steps take"
    )
    seeds: common.Seeds = common.SEEDS
    train: bool = common.TRAIN
    retrain: bool = common.RETRAIN

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

    samples: common.Samples = Field(50_000, description="images that the trials of a search train on")
    validation: common.Samples = Field(10_000, description="other images, on which a search judges its trials")
    epochs: common.Epochs = Field(48, description="epochs at the setting's learning rate")
    slow_epochs: common.Epochs = Field(10, description="further epochs at a tenth of it, at least a tenth of all")
    trials: Annotated[int, Field(ge=1, le=10_000)] = Field(30, description="trials of each search")
    seeds: common.Seeds = common.SEEDS
    train: bool = common.TRAIN
    retrain: bool = common.RETRAIN

    def trained_settings(self) -> list[dict[str, Any]]:
        own = {"samples": self.samples, "validation": self.validation, "epochs": self.epochs}
        return [CONTEST | own, CONTEST | {"epochs": self.epochs + self.slow_epochs}]

    @model_validator(mode="after")
    def _slow_enough(self) -> "Search":
        check_slow_epochs(self.epochs, self.slow_epochs)
        return self


class LabelNoise(ChapterParameters):
    """Parameters of chapter label_noise."""

    samples: common.Samples = Field(60_000, description="training images, labels shuffled or not")
    label_noises: Varied[Annotated[float, like("label_noise")]] = Field(
        [0.0, 0.2, 0.4], description="shares of the training images whose labels are shuffled among themselves"
    )
    epochs: common.Epochs = Field(48, description="epochs of the runs of all shares and seeds")
    long_epochs: common.Epochs = Field(240, description="epochs of the longer runs: the largest share, all seeds")
    seeds: common.Seeds = common.SEEDS
    train: bool = common.TRAIN
    retrain: bool = common.RETRAIN

    def trained_settings(self) -> list[dict[str, Any]]:
        return [CONTEST | {"samples": self.samples}]


PARAMETERS: dict[str, type[ChapterParameters]] = {
    "training_path": TrainingPath,
    "phase_diagram": PhaseDiagram,
    "ordered_scaling": OrderedScaling,
    "rescaling": Rescaling,
    "weight_decay": WeightDecay,
    "guideline": Guideline,
    "search": Search,
    "label_noise": LabelNoise,
    "reason": Reason,
    "deeper": Deeper,
    "your_network": YourNetwork,
}
