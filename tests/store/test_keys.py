"""Keys of runs stay what they are: a run's file is named by its key, and would not be found again under another.

A red test here means that the hashing has changed, or the default of a setting. If results change with it, raise
NUMERICS_VERSION and train the committed runs again; if they do not, undo it.
"""

import pytest

from edgechaos_core.store.runs import parse_config, peek_run
from edgechaos_core.system.places import COMMITTED_RUNS

FILES = sorted(COMMITTED_RUNS.glob("*.parquet"))

# Fingerprints of Fashion-MNIST: all training images, one label in five of them shuffled, 10,000 held out, the first
# 10,000; and of the images of mnist-5k.
ALL = "c86916056525f5614190b0e9a1ccbd7ab173641ea500eda73048beffffab99e9"
NOISY = "fb20c21ce3a9da36242652173bdfb5b5063fd7d25de117e44457038d48a53ebd"
HELD_OUT = "41374097493af30d9c921a409d2fe29c66c04d19344b24769d46e21607baea5b"
FEW = "15f0698728f149caf299b9a85acf5f7a92ee90349152fcab1e976a6084b753ad"
DIGITS = "fdae83b6121eeb5aa77a0bed9eb3d51d514e7de505f6c9c45d94c156a49d9795"

FIG2 = {"learning_rate": 0.02, "momentum": 0.5}
STARTED = {"seed": 1, "initial_J": 1.25}
DEEP = STARTED | {"learning_rate": 0.01, "momentum": 0.5, "samples": 10_000, "width": 256, "depth": 32}
STEERED = {"learning_rate": 0.02, "momentum": 0.8, "seed": 2, "hold": 1.0, "label_noise": 0.2, "milestone": 48}

# As they were on 2026-11-26; the last two are of no committed run.
KEYS = [
    ("63de5179881fdd91", FIG2, ALL),
    ("9d4e54367677142d", FIG2 | {"l2": 9e-5, "seed": 1}, ALL),
    ("09cfd812542870ac", {"learning_rate": 0.01, "momentum": 0.95, "gradients": True}, ALL),
    ("1c43f0596b3b272a", STEERED, NOISY),
    ("2311bfa7da2fd7c7", FIG2 | {"learning_rate": 0.08, "batch_size": 128, "seed": 2, "validation": 10_000}, HELD_OUT),
    ("0544aae3136c8b7a", FIG2 | STARTED | {"validation": 10_000}, HELD_OUT),
    ("006a54b889a6dc57", DEEP, FEW),
    ("38404c9007d4c9c1", FIG2 | {"momentum": 0.75, "seed": 1, "dataset": "mnist-5k", "l2": 9.3e-6}, DIGITS),
    ("e5f2c27e0ebe71a9", {"optimizer": "adam", "activation": "relu", "l2": 4e-5}, ALL),
    ("4a329531d2b37d64", {"optimizer": "adamw", "l2": 0.05, "trained_map": True}, ALL),
]


def test_every_committed_run_is_named_by_its_key():
    runs = [peek_run(path) for path in FILES]
    assert len(runs) >= 393
    assert [run.config.key(run.provenance["data_sha256"]) for run in runs] == [path.stem for path in FILES]


@pytest.mark.parametrize(("key", "settings", "fingerprint"), KEYS, ids=[key for key, _, _ in KEYS])
def test_keys_are_what_they_were(key, settings, fingerprint):
    assert parse_config(settings).key(fingerprint) == key


def test_the_list_names_committed_runs_but_for_its_last_two():
    assert {key for key, _, _ in KEYS[:8]} <= {path.stem for path in FILES}
