"""What a sweep has to do: which runs are stored, which stacks train the rest, and what that would cost."""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from edgechaos_core.images.datasets import CLASSES, PIXELS, TEST_SAMPLES, Dataset, Split
from edgechaos_core.store.checkpoints import peek_checkpoint
from edgechaos_core.store.runs import Run, RunConfig, Wanted, load_run, peek_run
from edgechaos_core.store.store import Store
from edgechaos_core.store.tables import TableError
from edgechaos_core.system.progress import duration
from edgechaos_core.training.measure import EVALUATION_BATCH
from edgechaos_core.training.stacking import OWN_SETTINGS, members_that_fit, parameters, stack_kind, stack_memory
from edgechaos_core.training.trainer import train

Source = tuple[str, int, int, float]


@dataclass(frozen=True)
class StackPlan:
    """Runs to train as one stack; ``checkpoint`` is where they were begun and ``epoch`` how far that is."""

    members: tuple[Wanted, ...]
    checkpoint: Path | None = None
    epoch: int = 0


@dataclass(frozen=True)
class Plan:
    """Runs asked for, how many of them are ``stored``, and the stacks that train the others."""

    runs: int
    stored: int
    stacks: tuple[StackPlan, ...]

    @property
    def epochs(self) -> int:
        """Epochs left to train, of all members."""
        return sum(len(stack.members) * (stack.members[0].config.epochs - stack.epoch) for stack in self.stacks)


def source(config: RunConfig) -> Source:
    """Return what decides a config's data: name, samples, validation, label noise."""
    return config.dataset, config.samples, config.validation, config.label_noise


def make_plan(
    wanted: Sequence[Wanted],
    store: Store,
    *,
    device: str = "cpu",
    stack_members: int | None = None,
    trusting: bool = True,
) -> Plan:
    """Plan the runs of a grid: drop what is stored, take up what was begun, and stack the rest.

    Members of a stack share shapes, batch size and epochs; there are ``stack_members`` of them at most, by default as
    many as the device has memory for, on a CPU one unless networks are small. Stacks with most work come first. Files
    of the store are read whole and verified unless ``trusting``.
    """
    keys = {run.key: run for run in sorted(wanted, key=lambda run: run.config.epochs)}  # of each the longest
    stored = _stored(store, keys, peek_run if trusting else load_run)
    missing = {key: run for key, run in keys.items() if key not in stored}
    stacks: list[StackPlan] = []
    for begun in _begun(store, keys, missing) if missing else ():
        stacks.append(begun)
        for member in begun.members:
            missing.pop(member.key, None)
    alike: dict[str, list[Wanted]] = defaultdict(list)
    for run in missing.values():
        alike[stack_kind(run.config)].append(run)
    for group in alike.values():
        size = stack_members or members_that_fit(group[0].config, device)
        stacks += [StackPlan(tuple(group[first : first + size])) for first in range(0, len(group), size)]
    # The longest first, or one of them might be left to train alone at the end.
    stacks.sort(key=lambda stack: -_weight(stack.members[0].config) * (stack.members[0].config.epochs - stack.epoch))
    return Plan(len(keys), len(stored), tuple(stacks))


def estimate(plan: Plan, *, device: str = "cpu", threads: int = 1, workers: int = 1) -> str:
    """Say in one line what a plan costs here, from a short measurement of every kind of stack in it."""
    runs = f"{plan.runs:,} runs, {plan.stored:,} of them stored"
    if not plan.stacks:
        return f"{runs}: nothing to train"
    kinds: Counter[str] = Counter()
    examples: dict[str, tuple[RunConfig, int]] = {}
    for stack in plan.stacks:
        config, members = stack.members[0].config, len(stack.members)
        kind = f"{members} {config.model_dump_json(exclude=OWN_SETTINGS | {'epochs'})}"
        examples[kind] = (config, members)
        kinds[kind] += config.epochs - stack.epoch
    seconds = sum(epoch_seconds(*examples[kind], device, threads) * count for kind, count in kinds.items())
    memory = max(stack_memory(*example) for example in examples.values()) / 1e9 + 0.4
    stacks, begun = len(plan.stacks), sum(stack.checkpoint is not None for stack in plan.stacks)
    return (
        f"{runs}; {stacks:,} stacks to train, {begun:,} of them begun, {plan.epochs:,} epochs: about "
        f"{duration(seconds / min(workers, stacks))} with {workers} at a time, {memory:.1f} GB of memory each"
    )


def epoch_seconds(config: RunConfig, members: int, device: str, threads: int) -> float:
    """Measure how long an epoch of such a stack takes here, from a few mini-batches of random images."""
    # Two lengths: what their difference takes is steps alone, the rest is measurement.
    few, test = 16, min(EVALUATION_BATCH, TEST_SAMPLES[config.dataset])
    own = [config.model_copy(update={"seed": seed}) for seed in range(members)]
    clocks = []
    for batches in (few, 3 * few):
        samples = min(batches * config.batch_size, config.samples)
        short = [
            member.model_copy(update={"samples": samples, "validation": 0, "label_noise": 0.0, "epochs": 3})
            for member in own
        ]
        data = Dataset(config.dataset, CLASSES[config.dataset], _noise(samples, config), None, _noise(test, config), "")
        clocks.append((samples / config.batch_size, _shortest_epoch(short, data, device, threads)))
    (few_steps, few_seconds), (more_steps, more_seconds) = clocks
    step = (more_seconds - few_seconds) / (more_steps - few_steps) if more_steps > few_steps else 0.0
    step = step if step > 0 else more_seconds / more_steps
    rest = max(few_seconds - step * few_steps, 0.0) * (TEST_SAMPLES[config.dataset] + config.validation) / test
    return step * -(-config.samples // config.batch_size) + rest


def _stored(store: Store, keys: Mapping[str, Wanted], read: Callable[[Path], Run]) -> set[str]:
    """The keys whose stored run is long enough."""
    stored: set[str] = set()
    for folder in (*store.layers, store.folder):
        names = {path.stem for path in folder.glob("*.parquet")}
        for key in names & (keys.keys() - stored):
            try:
                outcome = read(folder / f"{key}.parquet").outcome
            except TableError:
                continue  # whoever trains it sets it aside
            if outcome.state == "diverged" or outcome.epoch >= keys[key].config.epochs:
                stored.add(key)
    return stored


def _begun(store: Store, keys: Mapping[str, Wanted], missing: Mapping[str, Wanted]) -> list[StackPlan]:
    """Stacks to take up from their checkpoints: whole if all of their members were asked for, else what is missing."""
    found = []
    for path in sorted(store.checkpoints.glob("*.safetensors")):
        try:
            checkpoint = peek_checkpoint(path)
        except TableError:
            continue
        members = [member.key for member in checkpoint.members]
        if not missing.keys().isdisjoint(members):
            found.append((checkpoint.epoch, members, path))
    plans, taken = [], set[str]()
    for epoch, members, path in sorted(found, key=lambda begun: -begun[0]):
        whole = all(key in keys for key in members) and taken.isdisjoint(members)
        own = members if whole else [key for key in members if key in missing and key not in taken]
        if not own:
            continue
        taken.update(own)
        longest = max(keys[key].config.epochs for key in own)
        # the epoch under way counts as not done
        plans.append(StackPlan(tuple(keys[key].lasting(longest) for key in own), path, min(max(epoch - 1, 0), longest)))
    return plans


def _weight(config: RunConfig) -> float:
    """About what an epoch costs, in any unit: a step costs more than its samples alone."""
    return parameters(config) * config.samples * (1 + 6 / config.batch_size)


def _shortest_epoch(configs: Sequence[RunConfig], data: Dataset, device: str, threads: int) -> float:
    stamps: list[float] = []
    train(configs, data, device=device, threads=threads, on_epoch=lambda *_: stamps.append(time.perf_counter()))
    return min(after - before for before, after in itertools.pairwise(stamps))


def _noise(samples: int, config: RunConfig) -> Split:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (samples, PIXELS), generator=generator, dtype=torch.uint8)
    return Split(images, torch.randint(CLASSES[config.dataset], (samples,), generator=generator))
