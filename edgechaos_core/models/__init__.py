"""For your own PyTorch model: the fan-in of its layers, and weight decay that holds a layer at the edge.

Needs torch and NumPy alone.
"""
