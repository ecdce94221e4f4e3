"""From a grid of settings to stored runs: what is missing, who trains it, how long runs are, whether they are true.

A sweep plans stacks, a job trains one of them, a backend says where; a worker process is one such place. The training
itself stands in `training`, the grids in `experiments`.
"""
