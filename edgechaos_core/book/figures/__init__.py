"""Figures of the book by subject: ``plot_x(data, ax) -> ax``. They never train and never load."""
