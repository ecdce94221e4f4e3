"""What finished runs say, as numbers with intervals: slopes, passages, rescaled time, where decay lands them."""
