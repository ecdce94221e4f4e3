"""EdgeDecay, of a layer and of a model, in two processes: both set the decay that one process alone would."""

import json
from datetime import timedelta

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, Adam

from edgechaos_core.models.controller import EdgeDecay

KINDS = {"adam": Adam, "sgd": SGD}
SAME = 1e-9  # relative: sums of float64 in another order


def layer() -> nn.Linear:
    """Its upper half, the first process's part, is much weaker than its lower one."""
    made = nn.Linear(12, 16, bias=False, dtype=torch.float64)
    with torch.no_grad():
        nn.init.normal_(made.weight, std=0.4, generator=torch.Generator().manual_seed(0))
        made.weight[:8] *= 0.2
    return made


def decays(kind: str, module: nn.Module) -> list[float]:
    optimizer = KINDS[kind](module.parameters(), lr=0.01)
    edge = EdgeDecay(optimizer, module)
    inputs = torch.randn(64, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = [edge.J_squared]
    for _ in range(3):
        for _ in range(10):
            optimizer.zero_grad()
            (-module(inputs).square().mean()).backward()  # J^2 grows, so that there is a decay to set
            optimizer.step()
        found += [edge.step(), edge.J_squared]
    return found


def model() -> nn.Sequential:
    made = nn.Sequential(layer(), nn.Softsign(), nn.Linear(16, 4, bias=False, dtype=torch.float64))
    nn.init.normal_(made[2].weight, generator=torch.Generator().manual_seed(2))
    return made


def decays_of_model(trained: nn.Module) -> list[float]:
    inner = trained.module if isinstance(trained, DistributedDataParallel) else trained
    optimizer = Adam(inner.parameters(), lr=0.01)
    edge = EdgeDecay.for_model(inner, optimizer, {"0.weight": 1.0})
    inputs = torch.randn(64, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = []
    for _ in range(3):
        for _ in range(10):
            optimizer.zero_grad()
            (-trained(inputs).square().mean()).backward()
            optimizer.step()
        found += edge.step().values()
    return [*found, edge.metrics()["edge/0.weight/J_squared"]]


def rank(number: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", rank=number, world_size=2, timeout=timedelta(seconds=60)
    )
    mesh = init_device_mesh("cpu", (2,))
    found = {kind: decays(kind, fully_shard(layer(), mesh=mesh)) for kind in KINDS}
    found["sharded model"] = decays_of_model(fully_shard(model(), mesh=mesh))
    found["copied model"] = decays_of_model(DistributedDataParallel(model()))
    with open(f"{folder}/{number}.json", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(found, file)
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="this build of torch has no torch.distributed")
def test_all_processes_set_the_decay_that_one_alone_would(tmp_path):
    multiprocessing.spawn(rank, (str(tmp_path),), nprocs=2)
    first, second = (json.loads((tmp_path / f"{number}.json").read_text(encoding="utf-8")) for number in range(2))
    assert first == second
    for kind in KINDS:
        assert first[kind] == pytest.approx(decays(kind, layer()), rel=SAME)
        assert first[kind][-2] > 0
    alone = decays_of_model(model())
    for kind in ("sharded model", "copied model"):
        assert first[kind] == pytest.approx(alone, rel=SAME)
        assert first[kind][-2] > 0
