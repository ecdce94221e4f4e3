"""Which weight decay to choose: the formula, how it is fitted to runs, and pilot runs that correct it for a network.

The command `edgechaos guide` asks here. The controller that needs no formula is `models.controller`, the law that it
follows `theory.decay_law`.
"""
