"""What a reader may set of the chapters that test the paper's principle and take it to other networks."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

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
from edgechaos_core.experiments import five_networks
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


class YourNetwork(ChapterParameters):
    """Parameters of chapter your_network."""

    networks: Varied[Literal["tanh MLP", "ReLU MLP", "CNN", "transformer", "LSTM"]] = Field(
        ["tanh MLP", "ReLU MLP", "CNN", "transformer", "LSTM"], description="networks that are compared"
    )
    samples: Annotated[int, Field(ge=64, le=55_000)] = Field(five_networks.SAMPLES, description="training images")
    epochs: Annotated[int, Field(ge=1, le=1_000)] = Field(five_networks.EPOCHS, description="epochs of training")
    seeds: Seeds = SEEDS
    retrain: bool = Field(False, description="train the networks here, instead of showing what was committed")

    @model_validator(mode="after")
    def _committed(self) -> "YourNetwork":
        own = (self.samples, self.epochs)
        if not self.retrain and own != (five_networks.SAMPLES, five_networks.EPOCHS):
            raise ValueError(
                f"the committed comparison has samples={five_networks.SAMPLES} and epochs={five_networks.EPOCHS}: "
                "give retrain=true to train others"
            )
        if not self.retrain and not set(self.seeds) <= {0, 1, 2}:
            raise ValueError("the committed comparison has seeds 0, 1 and 2: give retrain=true to train others")
        return self
