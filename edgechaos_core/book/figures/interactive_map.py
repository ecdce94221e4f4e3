"""The phase diagram to be explored: both maps of plotly, with the values of a cell under the pointer."""

import numpy as np
import plotly.graph_objects
import seaborn as sns
from matplotlib.colors import to_hex
from plotly.subplots import make_subplots

from edgechaos_core.book.figures.maps import MAP_COLORS, grid, scale
from edgechaos_core.book.style import COLORS
from edgechaos_core.probes.diagram import Diagram
from edgechaos_core.theory.edges import edge_of_chaos

# The edge, and black around it, as in the printed maps.
EDGE = {"line": {"color": COLORS["edge on map"], "width": 2, "dash": "9px,6px"}}
BEHIND = {"line": {"color": "black", "width": 4, "dash": "9px,6px"}, "hoverinfo": "skip"}
# The page's theme can be switched while it is read; plotly's letters have a colour of their own and follow it here.
FOLLOW_THEME = """
const page = document.documentElement, map = document.getElementById("{plot_id}");
const follow = () => Plotly.relayout(map, {"font.color": getComputedStyle(document.body).color});
new MutationObserver(follow).observe(page, {attributes: true, attributeFilter: ["data-theme"]});
follow();
"""


def interactive_diagram(diagram: Diagram) -> str:
    """Return both maps as a page element that follows the page's theme (see book.css); needs plotly.min.js."""
    titles = ("asymptotic distance / √N, power of 10", "largest Lyapunov exponent")
    panels = make_subplots(2, 1, vertical_spacing=0.12, subplot_titles=titles)
    ratios = np.linspace(diagram.config.ratio_from, diagram.config.ratio_to, 121)
    edge = [edge_of_chaos(ratio, diagram.config.activation) for ratio in ratios]
    for row, (name, height) in enumerate({"distance": 0.78, "lyapunov_exponent": 0.22}.items(), start=1):
        cells = grid(diagram, name)
        values, ends = cells.to_numpy(), np.array(scale(cells, name))
        if name == "distance":
            values, ends = np.log10(values), np.log10(ends)
        shown = "10<sup>%{z:.1f}</sup>" if name == "distance" else "%{z:.3f}"
        heat = plotly.graph_objects.Heatmap(
            x=cells.columns.to_numpy().round(4),
            y=cells.index.to_numpy().round(4),
            z=values.round(3),
            hovertemplate="J<sub>0</sub>/J = %{x:.2f}<br>1/J = %{y:.3f}<br>" + shown + "<extra></extra>",
            colorscale=_colorscale(MAP_COLORS[name]),
            zmin=float(ends[0]),
            zmax=float(ends[1]),
            colorbar={"len": 0.48, "y": height},
        )
        panels.add_trace(heat, row, 1)
        theory = {"x": ratios, "y": edge, "mode": "lines", "name": "theory", "showlegend": False}
        for look in (BEHIND, EDGE):
            panels.add_trace(plotly.graph_objects.Scatter(**theory, **look), row, 1)
    panels.update_xaxes(title="J<sub>0</sub>/J").update_yaxes(title="1/J", range=[0, diagram.config.inverse_j_to])
    clear = "rgba(0,0,0,0)"
    panels.update_layout(
        height=800, margin={"l": 50, "r": 10, "t": 40, "b": 50}, paper_bgcolor=clear, plot_bgcolor=clear
    )
    config = {"responsive": True, "displaylogo": False}
    page = panels.to_html(full_html=False, include_plotlyjs=False, config=config, post_script=FOLLOW_THEME)
    return f'<div class="follows-theme">{page}</div>'


def _colorscale(name: str) -> list[list[float | str]]:
    """A colour map of the printed figures, from end to end, for plotly."""
    colors = sns.color_palette(name, as_cmap=True)
    return [[place / 20, to_hex(colors(place / 20))] for place in range(21)]
