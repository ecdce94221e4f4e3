"""For your own PyTorch model: see where each layer stands, start it at the edge of chaos, hold it there.

Needs torch and NumPy alone. The networks of the paper's runs stand in `training`.
"""
