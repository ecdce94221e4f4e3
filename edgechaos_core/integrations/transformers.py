"""Hold the layers of a Hugging Face `Trainer`'s model at the edge: ``pip install 'edgechaos[transformers]'``."""

from typing import Any

import torch
from torch.utils._pytree import tree_map
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from edgechaos_core.models.attached import steerable_optimizer
from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.models.forward import on_device
from edgechaos_core.models.model_controller import ModelEdgeDecay

SAMPLES = 16  # of the training set, for a sample that is not given


class EdgeDecayCallback(TrainerCallback, ExportableState):
    """Step a controller every epoch, or every ``every`` optimizer steps, and log its metrics by the trainer.

    `hold_at_edge` makes it. Checkpoints hold the controller's state, and training that is resumed goes on from it.
    """

    # In quotes: the reference is built without transformers, and what stands in for its names knows no |.
    def __init__(
        self, trainer: "Trainer | None" = None, edge: ModelEdgeDecay | None = None, every: int | None = None
    ) -> None:
        self.trainer, self.edge, self.every = trainer, edge, every

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ANN401
        """Go on from the checkpoint that training is resumed from."""
        if self.edge is None:  # the trainer made this callback anew
            raise ValueError(
                "restore_callback_states_from_checkpoint makes callbacks anew, without their controller: leave it "
                "False, this callback goes on by itself"
            )
        stored = (state.stateful_callbacks or {}).get(type(self).__name__, {})
        if state.global_step and stored:
            self.edge.load_state_dict(stored["attributes"]["stored"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ANN401
        """End a period of so many optimizer steps."""
        if self.every is not None and state.global_step % self.every == 0:
            self._end()

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ANN401
        """End a period of an epoch."""
        if self.every is None:
            self._end()

    def _end(self) -> None:
        assert self.edge is not None
        assert self.trainer is not None
        self.edge.step()
        self.trainer.log(self.edge.metrics())

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint of the trainer holds."""
        return {"args": {}, "attributes": {"stored": self.edge.state_dict() if self.edge else {}}}


def hold_at_edge(
    trainer: Trainer,
    target: Any = "edge",  # noqa: ANN401
    *,
    every: int | None = None,
    sample: Any = None,  # noqa: ANN401
    **options: Any,  # noqa: ANN401
) -> ModelEdgeDecay:
    """Steer the model of a trainer from its next ``train()`` on, and return the controller.

    Call it once, before ``train()``: it makes the trainer's optimizer and splits its groups, before the learning-rate
    scheduler is made and a checkpoint loaded. ``sample`` is a dict of what the model takes; if not given, the first
    samples of the training set, collated. ``options`` are those of `EdgeDecay.for_model`. Raises ValueError where the
    trainer makes its optimizer later (FSDP, DeepSpeed), has a scheduler already, and as `EdgeDecay.for_model` does.
    """
    if every is not None and (not isinstance(every, int) or every < 1):
        raise ValueError(f"every must be a whole number of optimizer steps, or None for epochs, got {every!r}")
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ValueError("hold_at_edge needs the optimizer before training, which FSDP and DeepSpeed make later")
    optimizer = steerable_optimizer(trainer.create_optimizer())
    device = next(trainer.model.parameters()).device
    if sample is None and not isinstance(target, dict):
        sample = _first(trainer)
    schedulers = [trainer.lr_scheduler] if trainer.lr_scheduler is not None else []
    edge = EdgeDecay.for_model(
        trainer.model, optimizer, target, sample=tree_map(on_device(device), sample), schedulers=schedulers, **options
    )
    trainer.add_callback(EdgeDecayCallback(trainer, edge, every))
    return edge


def _first(trainer: Trainer) -> dict[str, Any]:
    data = trainer.train_dataset
    if data is None or not hasattr(data, "__len__"):
        raise ValueError("the trainer has no training set that can be counted: pass sample=, a dict of model inputs")
    with torch.random.fork_rng(devices=[]):  # collators may draw what they mask
        return dict(trainer.data_collator([data[i] for i in range(min(SAMPLES, len(data)))]))
