"""A figure in a file of its own."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from edgechaos_core.store.tables import write_whole


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG on white, whole or not at all, and close it."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=180, facecolor="white")
    plt.close(figure)
    write_whole(path, picture.getvalue())
