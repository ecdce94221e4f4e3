"""From a grid of settings to stored runs: what is missing, who trains it, and whether what is stored is true.

A sweep plans stacks, a job trains one of them, a backend says where; a worker process is one such place. The training
itself stands in `training`, the grids in `experiments`.
"""
