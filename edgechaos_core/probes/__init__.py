"""Simulated order and chaos: a map x <- phi(W x), its Lyapunov exponent and distances, and whole phase diagrams."""
