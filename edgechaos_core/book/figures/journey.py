"""The book's living picture: a network on its way across the phase diagram, with its test loss, moved by a slider."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from edgechaos_core.book.style import COLORS
from edgechaos_core.claims.estimates.optima import least_on_path
from edgechaos_core.probes.diagram import Diagram
from edgechaos_core.store.runs import Run

FRAMES = 60  # places of the slider: the page stays small, and no step of J is larger than 0.05
FONT = {"size": 13, "color": "#7f7f7f"}  # grey letters are read on white and on black
MAP_INK = "#333333"  # of letters on the map, which is pale on either
MAP_COLORS = 11


def interactive_journey(runs: Sequence[Run], diagram: Diagram, last_epoch: int | None = None) -> str:
    """Return HTML (without plotly's script) of the mean path of seeds on a map, the loss beside it, and a slider.

    The map shows the largest Lyapunov exponent of random networks; the path is that of J0/J and 1/J averaged over the
    seeds. The slider goes through the epochs up to ``last_epoch`` (all, if none), closer
    together where the network moves fast.
    Raises ValueError for no runs.
    """
    import plotly.graph_objects as go  # a third of a second, which every other page is spared
    from plotly.subplots import make_subplots

    if not runs:
        raise ValueError("a journey needs at least one run")
    mean = pd.concat([run.history for run in runs]).groupby("epoch").mean()
    J = np.sqrt(mean["J_squared"])
    epochs = _places(J.to_numpy(), min([len(mean) - 1] if last_epoch is None else [last_epoch, len(mean) - 1]))
    x, y = (mean["J0"] / J).to_numpy().round(4), (1 / J).to_numpy().round(4)
    loss = mean["test_loss"].to_numpy().round(4)
    best, until = _best(mean), int(epochs[-1]) + 1
    panels = make_subplots(1, 2, subplot_titles=("phase diagram", "test loss"), horizontal_spacing=0.14)
    path = {"mode": "lines", "hoverinfo": "skip", "line": {"color": COLORS["J0"], "width": 3}}
    curve = path | {"line": {"color": COLORS["test_loss"], "width": 2}}
    rim = {"color": "white", "width": 1}
    dot = {"mode": "markers", "marker": {"size": 13, "color": COLORS["optimum"], "line": rim}}
    panels.add_trace(go.Heatmap(**_map(diagram)), 1, 1)
    panels.add_trace(go.Scatter(x=x[:until], y=y[:until], **path), 1, 1)
    panels.add_trace(go.Scatter(x=np.arange(until), y=loss[:until], **curve), 1, 2)
    panels.add_trace(go.Scatter(x=x[best : best + 1], y=y[best : best + 1], **dot), 1, 1)
    panels.add_trace(go.Scatter(x=[best], y=[loss[best]], **dot), 1, 2)
    panels.add_hline(1, line={"color": COLORS["optimum"], "dash": "dash"}, row=1, col=1)
    panels.update_xaxes(showgrid=False, zeroline=False).update_yaxes(showgrid=False, zeroline=False)
    passed = int(np.argmax(J.to_numpy() > 1))  # 0 where it never does
    if 0 < passed < until:
        edge = {"line": {"color": COLORS["optimum"], "dash": "dash"}, "annotation_text": "J = 1"}
        panels.add_vline(passed, **edge, annotation_position="top right", row=1, col=2)
    for name, place in (("order", 1.5), ("chaos", 0.45)):
        look = {"showarrow": False, "xanchor": "left", "font": {"size": 15, "color": MAP_INK}}
        panels.add_annotation(text=name, x=-0.95, y=place, **look, row=1, col=1)
    panels.update_xaxes(title="J<sub>0</sub>/J", range=[-1, 1], row=1, col=1)
    panels.update_yaxes(title="1/J", range=[0.3, 2.1], row=1, col=1)
    panels.update_xaxes(title="epoch", row=1, col=2).update_yaxes(range=[0.3, 0.75], row=1, col=2)
    panels.frames = [
        go.Frame(
            name=str(epoch),
            data=[go.Scatter(x=[x[epoch]], y=[y[epoch]]), go.Scatter(x=[epoch], y=[loss[epoch]])],
            traces=[3, 4],
        )
        for epoch in epochs
    ]
    panels.update_layout(
        sliders=[_slider(epochs, J.to_numpy(), best)],
        showlegend=False,
        height=390,
        font=FONT,
        margin={"l": 55, "r": 24, "t": 30, "b": 10},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    config = {"responsive": True, "displayModeBar": False}
    return str(panels.to_html(full_html=False, include_plotlyjs=False, config=config, auto_play=False))


def _best(mean: pd.DataFrame) -> int:
    """The epoch at the J of the least loss, by the parabola of C2; that of the least loss where it has no minimum."""
    place = least_on_path(mean, "test_loss")
    found = int(mean["test_loss"].to_numpy().argmin())
    return found if np.isnan(place) else int(np.argmax(mean["J_squared"].to_numpy() >= place**2))


def _map(diagram: Diagram) -> dict[str, Any]:
    cells = diagram.cells.groupby(["inverse_J", "ratio"])["lyapunov_exponent"].mean().unstack()
    return {
        "x": cells.columns.to_numpy().round(3),
        "y": cells.index.to_numpy().round(3),
        "z": cells.to_numpy().round(2),
        "zmid": 0,
        "zmin": -1,
        "zmax": 1,
        "colorscale": _pale("RdBu_r"),
        "showscale": False,
        "hovertemplate": "J<sub>0</sub>/J = %{x}<br>1/J = %{y}<br>exponent %{z}<extra></extra>",
    }


def _pale(name: str) -> list[list[float | str]]:
    """A colour map, half of it white, for plotly: as pale on a dark page as on a white one."""
    mixed = (0.55 * np.array(sns.color_palette(name, MAP_COLORS)) + 0.45).tolist()
    colors = sns.color_palette(mixed).as_hex()
    return [[place / (MAP_COLORS - 1), color] for place, color in enumerate(colors)]


def _places(J: np.ndarray, last: int) -> list[int]:
    """Epochs at equal steps of the way: half of it in J, half in time."""
    way = (J[: last + 1] - J[0]) / (J[last] - J[0]) + np.arange(last + 1) / max(last, 1)
    steps = np.linspace(way[0], way[-1], FRAMES)
    return sorted({int(np.searchsorted(np.maximum.accumulate(way), step - 1e-9)) for step in steps})


def _slider(epochs: Sequence[int], J: np.ndarray, best: int) -> dict[str, object]:
    steps = [
        {
            "label": f"{epoch} (J = {J[epoch]:.2f})",
            "method": "animate",
            "args": [[str(epoch)], {"mode": "immediate", "frame": {"duration": 0}, "transition": {"duration": 0}}],
        }
        for epoch in epochs
    ]
    nearest = min(range(len(epochs)), key=lambda number: abs(epochs[number] - best))
    return {
        "steps": steps,
        "active": nearest,
        "currentvalue": {"prefix": "epoch ", "font": {"size": 15, "color": FONT["color"]}},
        "ticklen": 0,
        "minorticklen": 0,
        "font": {"color": "rgba(0,0,0,0)"},  # sixty labels would lie on each other; the current one is told above
        "pad": {"t": 60},
    }
