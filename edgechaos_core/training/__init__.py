"""The stacked trainer: many fully connected networks trained at once, in closed form, and measured after each epoch.

Nothing here knows files: it gets a data set and a checkpoint, and returns runs.
"""
