"""Mean-field theory of networks with Gaussian weights: fixed points, the edge of chaos, and the law of steered decay.

Numbers in, numbers out, from equations alone: no files, no training, nothing fitted to runs (that is `analysis`).
"""
