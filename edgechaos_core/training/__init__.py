"""The stacked trainer: many one-hidden-layer networks (or deeper) trained at once, in closed form."""
