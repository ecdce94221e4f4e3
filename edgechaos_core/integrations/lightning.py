"""A Lightning callback that holds a module's layers at the edge of chaos: ``pip install 'edgechaos[lightning]'``."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils._pytree import tree_map

from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.models.forward import on_device
from edgechaos_core.models.model_controller import ModelEdgeDecay


class EdgeDecayCallback(Callback):
    """Steer the weight decay of a module's layers: step the controller every epoch, or every ``every`` optimizer steps.

    The step that ends an epoch is made when the next one starts, after the schedulers' step, and at the end of
    training. ``options`` are those of `EdgeDecay.for_model`; ``sample`` is the module's ``example_input_array`` if not
    given. The groups are split when fitting starts, before a checkpoint is loaded, and learning-rate schedulers go on
    with them. ``edge`` is then the controller, whose metrics are logged at the start of each epoch and after each
    period within one; checkpoints hold its state. Raises ValueError for a module with several optimizers, or without a
    sample.

    >>> from edgechaos_core.integrations.lightning import EdgeDecayCallback
    >>> from lightning.pytorch import Trainer
    >>> hold = EdgeDecayCallback(every=200)
    >>> quiet = {"logger": False, "enable_checkpointing": False}
    >>> trainer = Trainer(max_epochs=3, callbacks=[hold], **quiet)
    """

    def __init__(self, target: Any = "edge", *, every: int | None = None, **options: Any) -> None:  # noqa: ANN401
        if every is not None and (not isinstance(every, int) or every < 1):
            raise ValueError(f"every must be a whole number of optimizer steps, or None for epochs, got {every!r}")
        self.target, self.every, self.options = target, every, options
        self.edge: ModelEdgeDecay | None = None
        self._loaded: dict[str, Any] = {}
        self._ended = 0  # optimizer steps, when the last period ended

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the controller: optimizers and schedulers are there, and not yet what a checkpoint says."""
        if len(trainer.optimizers) != 1:
            raise ValueError(f"EdgeDecayCallback steers one optimizer, the module has {len(trainer.optimizers)}")
        options = dict(self.options)
        if not isinstance(self.target, dict):
            sample = options.get("sample", pl_module.example_input_array)
            if sample is None:
                raise ValueError("EdgeDecayCallback needs sample=, or a module with example_input_array")
            options["sample"] = tree_map(on_device(pl_module.device), sample)
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self.edge = EdgeDecay.for_model(pl_module, trainer.optimizers[0], self.target, schedulers=schedulers, **options)
        if self._loaded:
            self.edge.load_state_dict(self._loaded)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch before, after the schedulers' step that ends it."""
        if self.every is None and trainer.global_step > self._ended:
            self._end(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ANN401
        """End a period of so many steps; batches whose gradients are accumulated make no step."""
        if self.every is not None and trainer.global_step >= self._ended + self.every:
            self._end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the last epoch, so that the report is of the end."""
        if self.edge is not None and trainer.global_step > self._ended:
            self._ended = trainer.global_step
            self.edge.step()

    def _end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self.edge is not None  # on_fit_start came before
        self._ended = trainer.global_step
        self.edge.step()
        pl_module.log_dict(self.edge.metrics(), on_step=self.every is not None, on_epoch=self.every is None)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {"edge": self.edge.state_dict() if self.edge else self._loaded, "ended": self._ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what a checkpoint holds until there is an optimizer."""
        self._loaded, self._ended = state_dict["edge"], state_dict["ended"]
