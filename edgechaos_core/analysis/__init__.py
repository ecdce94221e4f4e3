"""What finished runs say, as numbers with intervals: slopes, passages, rescaled time; runs by setting.

Runs in, numbers out, whatever they are for, and the paper's published numbers beside them. What follows from theory
alone stands in `theory`, what a run measures while it trains in `training`, the one estimate that a claim is judged by
in `claims.estimates`, what one page states in `book.pages`.
"""
