"""The estimates that claims are judged by: runs (or diagrams) in, one number with its interval out, for `claims.rules`.

One function a part of data/claims.yaml, named in its docstring, and the optima of parabolas that they share. No bounds
and no verdicts: these stand in `claims`. Measurements of single runs, and intervals, stand in `analysis`.
"""
