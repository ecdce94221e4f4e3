"""Which weight decay to choose: the fitted formula, its calibration, and a pilot that corrects it."""
