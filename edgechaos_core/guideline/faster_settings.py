"""Settings of the same test loss at more speed, as chapter `rescaling` has seen it, without decay, for B >= 32."""

RATE_LIMIT = 0.08  # eta / (1 - alpha) up to which more speed costs no loss at B = 32; twice that at B = 128
SMALL_RATE = 0.02  # eta up to which momentum was raised in that chapter
LARGEST_MOMENTUM = 0.95  # of the published runs
LARGEST_BATCH = 128  # that the chapter has seen keep the loss


def sooner(eta: float, alpha: float, size: int) -> list[dict[str, float]]:
    """Return changed settings of learning rate, momentum and batch size, each with its ``speedup`` and cost in steps.

    ``steps_factor`` is the number of mini-batch steps, relative to those of the settings asked about.
    """
    rate = eta / (1 - alpha)
    found = []
    faster = min(1 - eta / RATE_LIMIT, LARGEST_MOMENTUM)
    if size >= 32 and eta <= SMALL_RATE and faster > alpha:
        gain = eta / (1 - faster) / rate
        found.append({"learning_rate": eta, "momentum": faster, "batch_size": size})
        found[-1] |= {"speedup": gain, "steps_factor": 1 / gain}
    if size >= 32 and eta <= SMALL_RATE and 4 * rate <= 2 * RATE_LIMIT and 4 * size <= LARGEST_BATCH:
        found.append({"learning_rate": 4 * eta, "momentum": alpha, "batch_size": 4 * size})
        found[-1] |= {"speedup": 1.0, "steps_factor": 0.25}
    return found
