"""What finished runs say, as numbers with intervals: slopes, passages, exponents, rescaled time, where J^2 ends.

Runs in, numbers out, the paper's published numbers beside them. What follows from theory alone stands in `theory`, what
a run measures while it trains in `training`, and whether a number supports a claim in `claims`.
"""
