"""`hold_at_edge`, in real training by Hugging Face's own Trainer."""

import math
import warnings

import pytest
import torch

pytest.importorskip("transformers", reason="needs transformers: pip install -e '.[transformers]'")
pytest.importorskip("accelerate", reason="needs accelerate: pip install -e '.[transformers]'")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own and its dependencies', on import
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    from edgechaos_core import EdgeDecay
    from edgechaos_core.integrations.transformers import EdgeDecayCallback, hold_at_edge

# its own: deprecated parts of torch, pinned memory
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
FIRST = "transformer.h.0.mlp.c_fc.weight"


def model():
    torch.manual_seed(0)
    made = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=50,
            n_positions=16,
            n_embd=32,
            n_layer=2,
            n_head=2,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    with torch.no_grad():
        for block in made.transformer.h:
            block.mlp.c_fc.weight.normal_(std=2.2 / 32**0.5)  # in chaos: GELU has its edge near 2
    return made


class Words(torch.utils.data.Dataset):
    def __len__(self):
        return 160

    def __getitem__(self, i):
        ids = torch.randint(50, (16,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": ids, "labels": ids}


def trainer(folder, **options):
    settings = {
        "num_train_epochs": 4,
        "save_strategy": "epoch",
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant_with_warmup",
    }
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="epoch",
        **(settings | options),
    )
    return Trainer(model=model(), args=arguments, train_dataset=Words())


def test_layers_in_chaos_come_to_their_edges_and_metrics_are_logged(tmp_path):
    made = trainer(tmp_path, num_train_epochs=8, save_strategy="no")
    edge = hold_at_edge(made)
    assert list(edge.layers) == [FIRST, FIRST.replace(".0.", ".1.")]  # the others are residual sums, tied or attention
    start = math.log(edge.layers[FIRST].J_squared / edge.layers[FIRST].law.target)
    made.train()
    assert abs(math.log(edge.layers[FIRST].J_squared / edge.layers[FIRST].law.target)) < 0.4 * start
    logged = [row[f"edge/{FIRST}/J_squared"] for row in made.state.log_history if f"edge/{FIRST}/J_squared" in row]
    assert len(logged) == 8
    assert logged[-1] == edge.metrics()[f"edge/{FIRST}/J_squared"]


def test_training_that_is_resumed_is_the_same(tmp_path):
    whole = trainer(tmp_path)
    edge = hold_at_edge(whole, every=10)
    whole.train()
    resumed = trainer(tmp_path / "resumed")
    its_edge = hold_at_edge(resumed, every=10)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-40"))
    assert its_edge.metrics() == edge.metrics()
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_accelerates_own_wrapper_says_what_to_pass(tmp_path):
    made = trainer(tmp_path, max_steps=1, save_strategy="no")
    made.train()
    sample = Words()[0]["input_ids"][None]
    with pytest.raises(ValueError, match=r"^AcceleratedOptimizer wraps the optimizer that trains, a AdamW: pass that"):
        EdgeDecay.for_model(made.model, made.optimizer, sample=sample)


def test_refusals(tmp_path):
    with pytest.raises(
        ValueError, match=r"^every must be a whole number of optimizer steps, or None for epochs, got 0$"
    ):
        hold_at_edge(trainer(tmp_path), every=0)
    made = trainer(tmp_path)
    made.train_dataset = None
    with pytest.raises(ValueError, match=r"^the trainer has no training set that can be counted: pass sample="):
        hold_at_edge(made)
    with pytest.raises(ValueError, match=r"^restore_callback_states_from_checkpoint makes callbacks anew"):
        EdgeDecayCallback().on_train_begin(made.args, made.state, made.control)


@pytest.mark.parametrize("where", ["is_fsdp_enabled", "is_deepspeed_enabled"])
def test_a_trainer_that_makes_its_optimizer_later_is_refused_before_it_is_touched(tmp_path, monkeypatch, where):
    made = trainer(tmp_path)
    monkeypatch.setattr(made, where, True)
    with pytest.raises(
        ValueError, match=r"^hold_at_edge needs the optimizer before training, which FSDP and DeepSpeed"
    ):
        hold_at_edge(made)
    assert made.optimizer is None
    assert not any(isinstance(each, EdgeDecayCallback) for each in made.callback_handler.callbacks)
    monkeypatch.setattr(made, where, False)
    assert hold_at_edge(made).layers
