"""Mean-field theory of networks with Gaussian weights: fixed points, the edge of chaos, and the law of weight decay.

Numbers in, numbers out: no files, no training.
"""
