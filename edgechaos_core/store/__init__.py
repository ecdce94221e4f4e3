"""What is kept: a run (settings, history, provenance) in one Parquet file each, checkpoints, and who trains what.

Files, and what is in them. What is missing of a grid, and how it gets here, stands in `sweeps`.
"""
