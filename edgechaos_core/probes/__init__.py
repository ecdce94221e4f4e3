"""Simulated order and chaos: a map ``x <- phi(W x)``, its Lyapunov exponents and distances, and whole phase diagrams.

Simulations of given or random matrices. What theory says of the same stands in `theory`, training in `training`.
"""
