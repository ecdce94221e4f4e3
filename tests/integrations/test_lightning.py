"""The Lightning callback, in real training by Lightning's own Trainer."""

import logging
import math
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

pytest.importorskip("lightning", reason="needs Lightning: pip install -e '.[lightning]'")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own and its dependencies', on import
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    from edgechaos_core import EdgeDecay
    from edgechaos_core.integrations.lightning import EdgeDecayCallback

# Lightning's own: deprecated parts of torch, few workers for the data
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(LightningModule):
    def __init__(self, scheduled: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 3))
        for layer in self.net[::2]:
            nn.init.normal_(layer.weight, std=1.9 / layer.in_features**0.5)
        self.example_input_array = torch.randn(16, 20)
        self.scheduled, self.rates = scheduled, []

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        self.rates.append({group["lr"] for group in self.trainer.optimizers[0].param_groups})
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)] if self.scheduled else []

    def train_dataloader(self):
        generator = torch.Generator().manual_seed(1)
        data = torch.utils.data.TensorDataset(
            torch.randn(80, 20, generator=generator), torch.randint(3, (80,), generator=generator)
        )
        return torch.utils.data.DataLoader(data, 4)


def fit(folder, callback, *, epochs, module=None, checkpoint=None, **options):
    module = module or Classifier()
    kept = ModelCheckpoint(dirpath=folder, filename="{epoch}", save_top_k=-1)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[callback, kept],
        logger=CSVLogger(folder),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )
    trainer.fit(module, ckpt_path=checkpoint)
    return module, trainer


def test_layers_in_chaos_come_to_their_edges(tmp_path):
    callback = EdgeDecayCallback()
    module, trainer = fit(tmp_path, callback, epochs=14)
    assert [len(rates) for rates in module.rates] == [1] * len(module.rates)  # schedulers know the new groups
    assert module.rates[-1] == {0.01 * 0.5**6}
    assert list(callback.edge.layers) == ["net.0.weight", "net.2.weight", "net.4.weight"]
    start = math.log(1.9**2 / 1.0)
    row = callback.edge.report()[0]
    assert abs(math.log(row.J_squared / row.target)) < 0.3 * start
    trainer.logger.save()
    head = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "edge/net.0.weight/J_squared" in head.split(",")


def test_periods_of_steps_and_accumulated_gradients(tmp_path):
    callback = EdgeDecayCallback(every=10, keep=["net.4"])
    fit(tmp_path, callback, epochs=2, accumulate_grad_batches=2)  # 20 optimizer steps in all
    assert {layer.state_dict()["steps"] for layer in callback.edge.layers.values()} == {0}
    assert len(callback.edge.layers) == 2
    assert callback.state_dict()["ended"] == 20


def test_training_that_is_resumed_is_the_same(tmp_path):
    whole = EdgeDecayCallback()
    module, _ = fit(tmp_path, whole, epochs=4)
    resumed = EdgeDecayCallback()
    its_module, _ = fit(tmp_path / "resumed", resumed, epochs=4, checkpoint=tmp_path / "epoch=1.ckpt")
    assert resumed.edge.metrics() == whole.edge.metrics()
    assert torch.equal(its_module.net[0].weight, module.net[0].weight)


def test_refusals(tmp_path):
    with pytest.raises(
        ValueError, match=r"^every must be a whole number of optimizer steps, or None for epochs, got 0$"
    ):
        EdgeDecayCallback(every=0)
    module = Classifier()
    module.example_input_array = None
    with pytest.raises(ValueError, match=r"^EdgeDecayCallback needs sample=, or a module with example_input_array$"):
        fit(tmp_path, EdgeDecayCallback(), epochs=1, module=module)


def test_several_optimizers_are_refused():
    trainer = SimpleNamespace(optimizers=[object(), object()])
    with pytest.raises(ValueError, match=r"^EdgeDecayCallback steers one optimizer, the module has 2$"):
        EdgeDecayCallback().on_fit_start(trainer, Classifier())


def test_lightnings_own_wrapper_says_what_to_pass(tmp_path):
    module, _ = fit(tmp_path, EdgeDecayCallback(), epochs=1)
    wrapped = module.optimizers()
    with pytest.raises(ValueError, match=r"^LightningAdamW wraps the optimizer that trains, a AdamW: pass that, optim"):
        EdgeDecay.for_model(module, wrapped, sample=module.example_input_array)
