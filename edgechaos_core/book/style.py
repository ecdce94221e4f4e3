"""One style for all figures: transparent, so that a page's dark mode shows through; a colour keeps its role."""

import matplotlib as mpl
import pandas as pd
import seaborn as sns

_COLORBLIND = sns.color_palette("colorblind").as_hex()
COLORS = {
    "J_squared": _COLORBLIND[0],
    "J0": _COLORBLIND[1],
    "test_loss": _COLORBLIND[3],
    "train_loss": _COLORBLIND[7],
    "test_accuracy": _COLORBLIND[2],
    "edge": "0.25",
    "edge on map": _COLORBLIND[8],
    "size on map": _COLORBLIND[6],
    "path on map": _COLORBLIND[1],
    "optimum": _COLORBLIND[4],
}
LABELS = {
    "J_squared": "$J^2$",
    "J0": "$J_0$",
    "test_loss": "test loss",
    "train_loss": "train loss",
    "test_accuracy": "test accuracy",
    "distance": "asymptotic distance$\\,/\\sqrt{N}$",
    "lyapunov_exponent": "largest Lyapunov exponent",
}

AXES = {"ratio": "mean over spread of the weights, $J_0 / J$", "inverse_J": "inverse spread, $1 / J$"}


def use_style() -> None:
    """Set the house style for this process: seaborn ticks, transparent, vector output in notebooks.

    Settings of the user's matplotlibrc are put back to matplotlib's own, and letters are of the font that comes with
    it: seaborn prefers Arial, which some machines have.
    """
    mpl.rcdefaults()
    transparent = {f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig")}
    own = {**transparent, "legend.frameon": False, "font.sans-serif": ["DejaVu Sans"]}
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", rc=own)
    pd.set_option("display.max_colwidth", None)  # a sentence in a table is shown whole
    mpl.rcParams["svg.hashsalt"] = "edgechaos"  # the same figure gives the same file
