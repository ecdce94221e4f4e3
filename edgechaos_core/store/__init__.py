"""What is kept: a run (settings, history, provenance) in one Parquet file each, checkpoints, and who trains what."""
