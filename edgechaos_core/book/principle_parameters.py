"""What a reader may set of the chapters that put the paper's principle to a test: see parameters.py."""

from typing import Annotated, Any

from pydantic import Field

from edgechaos_core.book.parameter_types import (
    RETRAIN,
    SEEDS,
    TRAIN,
    TRAIN_OTHERS,
    ChapterParameters,
    Epochs,
    Samples,
    Seeds,
    Varied,
    like,
)
from edgechaos_core.experiments.named_grids import DEEP, JUDGED


class Reason(ChapterParameters):
    """Parameters of chapter reason."""

    initial_Js: Varied[Annotated[float, like("initial_J")]] = Field(
        [0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0], description="J of the hidden layer before training"
    )
    samples: Samples = Field(50_000, description="training images, the first so many")
    validation: Samples = Field(10_000, description="other images, on which the least loss is located")
    epochs: Epochs = Field(80, description="epochs of training")
    seeds: Seeds = Field([0, 1, 2, 3, 4], description="seeds, as far as they are stored or trained")
    train: bool = TRAIN
    train_others: bool = TRAIN_OTHERS
    retrain: bool = RETRAIN

    def trained_settings(self) -> list[dict[str, Any]]:
        sizes = {"samples": self.samples, "validation": self.validation}
        return [JUDGED | sizes | {"epochs": self.epochs, "initial_J": J} for J in self.initial_Js]


class Deeper(ChapterParameters):
    """Parameters of chapter deeper."""

    depths: Varied[Annotated[int, like("depth")]] = Field([1, 2, 4, 8, 16, 32, 50], description="hidden layers")
    initial_Js: Varied[Annotated[float, like("initial_J")]] = Field(
        [0.5, 3**-0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0], description="J of every hidden layer before training"
    )
    width: Annotated[int, like("width")] = Field(256, description="units of a hidden layer")
    samples: Samples = Field(10_000, description="training images, the first so many")
    epochs: Epochs = Field(10, description="epochs of training")
    seeds: Seeds = SEEDS
    train: bool = TRAIN
    train_others: bool = TRAIN_OTHERS
    retrain: bool = RETRAIN

    def trained_settings(self) -> list[dict[str, Any]]:
        return [DEEP | {"width": self.width, "samples": self.samples, "epochs": self.epochs}]
