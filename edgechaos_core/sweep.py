"""From a list of configs to their runs: what is stored is loaded, what is missing is trained and stored."""

from collections import defaultdict
from collections.abc import Sequence

from tqdm import tqdm

from edgechaos_core.data import Dataset, load_dataset
from edgechaos_core.progress import show_progress
from edgechaos_core.runs import COMMITTED_RUNS, Run, RunConfig, cached_runs, find_run, save_run
from edgechaos_core.tables import TableError
from edgechaos_core.trainer import OWN_SETTINGS, Row, train


def obtain(
    configs: Sequence[RunConfig],
    *,
    retrain: bool = False,
    stored_only: bool = False,
    device: str = "cpu",
    threads: int = 1,
) -> list[Run]:
    """Return one run per config, in order.

    Committed and cached runs are loaded (a longer run serves a shorter request); the rest are trained, members that
    can share a stack together, behind a progress bar, and kept in the user's cache. ``retrain`` trains everything anew
    and stores nothing; ``stored_only`` trains nothing and raises TableError naming the first run that is missing.
    Ctrl-C while training ends with KeyboardInterrupt. Raises what `load_dataset` and `train` raise.
    """
    datasets: dict[tuple[str, int, int], Dataset] = {}
    found: dict[RunConfig, Run] = {}
    stacks: dict[str, list[RunConfig]] = defaultdict(list)
    for config in dict.fromkeys(configs):
        if _source(config) not in datasets:
            datasets[_source(config)] = load_dataset(
                config.dataset, samples=config.samples, validation=config.validation
            )
        stacks[config.model_dump_json(exclude=OWN_SETTINGS)].append(config)
    for stack in sorted(stacks.values(), key=lambda stack: -stack[0].epochs):  # a long run may serve a shorter request
        dataset = datasets[_source(stack[0])]
        stored = [None if retrain else find_run(config, dataset.fingerprint) for config in stack]
        found |= {config: run for config, run in zip(stack, stored, strict=True) if run is not None}
        missing = [config for config in stack if config not in found]
        if missing and stored_only:
            raise TableError(f"no stored run for {missing[0]!r}: look in {COMMITTED_RUNS}")
        if not missing:
            continue
        for run in _train_with_bar(missing, dataset, device=device, threads=threads):
            if run.outcome.state == "interrupted":
                raise KeyboardInterrupt
            found[run.config] = run
            if not retrain:
                save_run(run, cached_runs() / f"{run.config.key(dataset.fingerprint)}.parquet")
    return [found[config] for config in configs]


def _train_with_bar(stack: list[RunConfig], dataset: Dataset, *, device: str, threads: int) -> list[Run]:
    title = f"training {len(stack)} network{'s' if len(stack) > 1 else ''}"
    with tqdm(total=stack[0].epochs, unit="epoch", desc=title, disable=not show_progress()) as bar:

        def advance(epoch: int, _: list[Row | None]) -> None:
            bar.update(min(epoch, 1))

        return train(stack, dataset, device=device, threads=threads, on_epoch=advance)


def _source(config: RunConfig) -> tuple[str, int, int]:
    return config.dataset, config.samples, config.validation
