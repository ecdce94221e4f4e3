"""How claims are judged: bounds from data/claims.yaml, which runs count, verdicts of intervals, tables of verdicts.

The estimates that are judged stand in `claims.estimates`.
"""
