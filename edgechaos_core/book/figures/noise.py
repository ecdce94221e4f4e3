"""Training with shuffled labels."""

from collections.abc import Mapping, Sequence

import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.book.style import LABELS
from edgechaos_core.store.runs import Run


def plot_noise(runs: Mapping[tuple[float, str], Sequence[Run]], column: str, ax: Axes) -> Axes:
    """Draw a column against epoch for each (share of noise, way), a colour a way, lighter for less noise."""
    ways = list(dict.fromkeys(way for _, way in runs))
    shares = sorted({share for share, _ in runs})
    for (share, way), own in runs.items():
        color = sns.color_palette("colorblind")[ways.index(way)]
        alpha = 0.35 + 0.6 * (shares.index(share) + 1) / len(shares)
        for number, run in enumerate(own):
            if column in run.history:
                label = f"{way}, {share:.0%}" if number == 0 else "_"
                ax.plot(
                    run.history["epoch"], run.history[column], color=color, alpha=min(alpha, 1), lw=1.1, label=label
                )
    ax.set(xlabel="epoch", ylabel=LABELS.get(column, column))
    return ax
