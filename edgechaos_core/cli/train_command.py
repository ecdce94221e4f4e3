"""The command ``edgechaos train``: one network, a line an epoch."""

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgechaos_core import Interrupted
from edgechaos_core.cli.options import Activation, BatchSize, Device, Force, settings_of
from edgechaos_core.cli.output import check_out, json_line, tell

if TYPE_CHECKING:  # imported where it is needed: torch takes a second
    from edgechaos_core.store.runs import Row, Run, RunConfig

DIVERGED = 3


Dataset = Annotated[str, typer.Option(help="fashion-mnist, mnist, kmnist, emnist[-SPLIT] or mnist-5k")]
FullTrainLoss = Annotated[bool, typer.Option(help="also measure the loss over the whole training set")]
Hold = Annotated[float, typer.Option(help="J^2 of the first layer that decay is steered to, say 1; l2 is its start")]
InitialJ = Annotated[
    float | None,
    typer.Option("--initial-J", help="J of every hidden layer at the start [default: 0.5 for tanh, Glorot for relu]"),
]
TrainedMap = Annotated[bool, typer.Option(help="also measure chaos and spectrum of the trained first layer")]


def train(
    context: typer.Context,
    learning_rate: Annotated[float | None, typer.Option(help="eta [default: 0.01 for sgd, 0.001 for adam(w)]")] = None,
    batch_size: BatchSize = 32,
    momentum: Annotated[float | None, typer.Option(help="alpha, or beta_1 of adam(w) [default: 0, 0.9]")] = None,
    l2: Annotated[
        float, typer.Option(help="lambda of lambda ||w||^2; PyTorch's weight_decay is 2 l2, of adamw too")
    ] = 0.0,
    epochs: Annotated[int, typer.Option(help="passes over the training set")] = 10,
    seed: Annotated[int, typer.Option(help="decides initial weights and shuffles")] = 0,
    samples: Annotated[int | None, typer.Option(help="train on the first S images [default: all]")] = None,
    validation: Annotated[int, typer.Option(help="hold out the last training images, say 10000")] = 0,
    dataset: Dataset = "fashion-mnist",
    width: Annotated[int, typer.Option(help="neurons in a hidden layer")] = 784,
    depth: Annotated[int, typer.Option(help="hidden layers")] = 1,
    activation: Activation = "tanh",
    optimizer: Annotated[str, typer.Option(help="sgd, adam or adamw")] = "sgd",
    device: Device = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads; more than one rarely pays")] = 1,
    full_train_loss: FullTrainLoss = False,
    hold: Hold = 0.0,
    label_noise: Annotated[float, typer.Option(help="share of training labels that are shuffled")] = 0.0,
    milestone: Annotated[int, typer.Option(help="epoch after which the learning rate is a tenth; 0: none")] = 0,
    gradients: Annotated[bool, typer.Option(help="also measure what makes J^2 grow: drift and noise")] = False,
    initial_J: InitialJ = None,
    trained_map: TrainedMap = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.parquet", help="keep the run in this file")] = None,
    force: Force = False,
    format: Annotated[Literal["table", "json"], typer.Option(help="what to print, one line an epoch")] = "table",
) -> int:
    """Train one network and print its order parameters, loss and accuracy after every epoch (epoch 0: before)."""
    from edgechaos_core.store.runs import RunConfig, parse_config, save_run

    config = parse_config(settings_of(context, RunConfig))
    if out is not None:
        out = check_out(out, force=force, suffixes=(".parquet",))
    printer = _Printer(format, must_finish=out is not None)
    run = _trained(config, printer, device=device, threads=threads, full_train_loss=full_train_loss)
    if out is not None and len(run.history):
        save_run(run, out)
    return _tell_end(run, f"{out} holds" if out is not None else "printed")


def _trained(config: "RunConfig", printer: "_Printer", *, device: str, threads: int, full_train_loss: bool) -> "Run":
    """Train behind a progress bar, each epoch printed when it is done."""
    from tqdm import tqdm

    from edgechaos_core.sweeps.jobs import dataset_of
    from edgechaos_core.sweeps.plan import source
    from edgechaos_core.system.machine import parse_device
    from edgechaos_core.system.progress import show_progress
    from edgechaos_core.training.trainer import train as train_stack

    parse_device(device)  # before the data are read, which may have to be downloaded
    data = dataset_of(*source(config))
    with tqdm(total=config.epochs, unit="epoch", disable=not show_progress(), leave=False) as bar:

        def on_epoch(epoch: int, rows: "list[Row | None]") -> None:
            bar.update(min(epoch, 1))
            if rows[0] is not None:
                printer.print(rows[0])

        options: dict[str, Any] = {"device": device, "threads": threads, "full_train_loss": full_train_loss}
        return train_stack([config], data, on_epoch=on_epoch, **options)[0]


def _tell_end(run: "Run", kept: str) -> int:
    """Say how a run ended if not as it should, and what of it is kept; return the exit code."""
    if run.outcome.state == "diverged":
        last = f", last finite J^2 = {run.history['J_squared'].iloc[-1]:.6g}" if len(run.history) else ""
        tell(f"diverged: {run.outcome.detail}{last}; {kept} the epochs before")
        return DIVERGED
    if run.outcome.state == "interrupted":
        done = f"after epoch {run.outcome.epoch}; {kept} the epochs done" if len(run.history) else "before epoch 0"
        raise Interrupted(f"interrupted {done}")
    return 0


class _Printer:
    """Print one row an epoch; a reader that goes away (``| head``) ends training unless a file waits for it."""

    def __init__(self, style: str, *, must_finish: bool) -> None:
        self.style, self.must_finish = style, must_finish
        self.header_printed = self.closed = False

    def print(self, row: dict[str, float]) -> None:
        from tqdm import tqdm

        if self.closed:
            return
        try:
            for line in self._lines(row):
                tqdm.write(line, file=sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # the latter: its terminal has gone
                raise
            # Python would try again to flush at exit, and print a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.closed = True
            if not self.must_finish:
                raise KeyboardInterrupt from None

    def _lines(self, row: dict[str, float]) -> list[str]:
        from edgechaos_core.store.run_tables import in_short
        from edgechaos_core.system.progress import number

        if self.style == "json":
            return [json_line(row)]
        row = in_short(row)
        cells = [f"{row['epoch']:5d}"] + [f"{number(row[name]):>{max(len(name), 9)}}" for name in list(row)[1:]]
        lines = [] if self.header_printed else ["epoch  " + "  ".join(f"{name:>9}" for name in list(row)[1:])]
        self.header_printed = True
        return [*lines, "  ".join(cells)]
