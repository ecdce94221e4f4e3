"""Draw the README's picture from the committed runs: ``make picture``."""

from pathlib import Path

import matplotlib.pyplot as plt

from edgechaos_core.book import style
from edgechaos_core.book.figures.path import plot_landing
from edgechaos_core.store.runs import parse_config
from edgechaos_core.sweeps.sweep import obtain

SETTING = {"learning_rate": 0.02, "momentum": 0.5, "epochs": 501}

if __name__ == "__main__":
    runs = obtain([parse_config({**SETTING, "seed": seed}) for seed in (0, 1, 2)], stored_only=True)
    style.use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    plot_landing(runs, left, right)
    figure.tight_layout()
    figure.savefig(Path(__file__).with_name("training_path.png"), dpi=110, facecolor="white")
