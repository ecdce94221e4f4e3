"""`EdgeDecay` where people train: Lightning and Hugging Face transformers, each behind an extra of its own.

A module here imports the library that it is named after, and nothing else here imports it.
"""
