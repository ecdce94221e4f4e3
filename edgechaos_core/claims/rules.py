"""Which runs each part of data/claims.yaml is judged on, and by which estimate: C1 to C14, and B1 to B12."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgechaos_core.analysis import published
from edgechaos_core.analysis.intervals import FEWEST, Estimate
from edgechaos_core.claims.estimates import decay, growth, noisy_growth, paths, reason
from edgechaos_core.claims.estimates.reason import DEFAULT_AND_EDGE, started_at
from edgechaos_core.experiments.named_grids import RIVALS
from edgechaos_core.store.runs import Run, RunConfig

Keep = Callable[[RunConfig], bool]
Over = Literal["seeds", "settings", "draws"]


@dataclass(frozen=True)
class Rule:
    """How a part is estimated: by a function of the runs of a protocol's settings that ``keep`` accepts.

    ``seeds`` is how many the claim asks for, of the ``best`` settings that the estimate picks (None: of all).
    ``until``: a run serves that is as long as the protocol's (*end*), or that passes J^2 = 1 (*edge*). ``fewest``
    settings are enough for an estimate, None: all are needed. ``over`` tells what the interval is over.
    """

    estimate: Callable[[Sequence[Run]], Estimate]
    protocol: str
    seeds: int = FEWEST
    keep: Keep = lambda config: True
    until: Literal["edge", "end"] = "end"
    fewest: int | None = None
    over: Over = "seeds"
    best: int | None = None


def _as_base(*varied: str) -> Keep:
    """Accept the settings of Fig. 3 that differ from its base in these alone."""
    fixed = {name: value for name, value in published.BASE_SETTING.items() if name not in varied}
    return lambda config: all(getattr(config, name) == value for name, value in fixed.items())


def _strength(l2: float) -> Keep:
    return lambda config: config.l2 == l2


def _usual_speed(config: RunConfig) -> bool:
    """Tell whether momentum is that of Fig. 2, where others are tried."""
    return config.momentum == 0.5


def _on_most_images(config: RunConfig) -> bool:
    return config.samples == 50_000


def _held_at_usual_speed(config: RunConfig) -> bool:
    return _usual_speed(config) and config.hold > 0


def _formula_or_free(config: RunConfig) -> bool:
    """Tell whether a run of the contest has the formula's decay or none, and is slowed down at its end."""
    return config.milestone > 0 and not config.hold and config.l2 in (0.0, RIVALS["formula"]["l2"])


RULES: dict[str, tuple[Rule, ...]] = {
    "C2": (
        Rule(growth.place_of_least_test_loss, "fig2", seeds=10),
        Rule(growth.place_of_least_validation_loss, "speed", seeds=5),
    ),
    "C3": (Rule(growth.late_over_early_slope, "fig3-edge", keep=_as_base(), until="edge"),),
    "C4": (Rule(growth.exponent_of_learning_rate, "fig3-edge", 1, _as_base("learning_rate"), "edge", 3, "settings"),),
    "C5": (Rule(growth.exponent_of_momentum, "fig3-edge", 1, _as_base("momentum"), "edge", 3, "settings"),),
    "C6": (Rule(growth.exponent_of_batch_size, "fig3-edge", 1, _as_base("batch_size"), "edge", 3, "settings"),),
    "C7": (
        Rule(growth.growth_constant, "fig3-edge", 1, until="edge", fewest=3, over="settings"),
        Rule(growth.spread_of_constant, "fig3-edge", until="edge"),
    ),
    "C8": (Rule(paths.path_at_edge, "fig4", until="edge"), Rule(paths.path_at_end, "fig4")),
    "C9": (Rule(paths.distance_in_order, "fig5", until="edge"), Rule(paths.distance_beyond_less_in_order, "fig5")),
    "C10": (
        Rule(paths.best_loss_over_base, "payoff", keep=published.has_published_step),
        Rule(paths.best_accuracy_less_base, "payoff", keep=published.has_published_step),
    ),
    "C11": (Rule(decay.least_fall_with_decay, "fig6"), Rule(decay.place_of_best_accuracy, "fig6", seeds=10, best=4)),
    "C12": (
        Rule(decay.end_with_decay, "fig6", seeds=10, keep=_strength(9e-5)),
        Rule(decay.end_with_decay, "fig6", seeds=10, keep=_strength(5e-5)),
        Rule(decay.accuracy_less_best_other, "fig6", seeds=10, best=2),
    ),
    "C13": (
        Rule(decay.wrong_labels_fitted, "noisy-long", keep=lambda config: config.hold == 1),
        Rule(decay.correct_labels_fitted, "noisy-long", keep=lambda config: config.hold == 1),
    ),
    "C14": (
        Rule(decay.relu_place_of_least_test_loss, "relu-adam", keep=_strength(0.0)),
        Rule(decay.relu_place_of_best_accuracy, "relu-adam"),
    ),
}

OWN_RULES: dict[str, tuple[Rule, ...]] = {
    "B1": (
        Rule(reason.slope_of_place_on_start, "start", 5, lambda config: started_at(config) < 1),
        Rule(reason.epochs_from_far_over_near, "start", 5, lambda config: started_at(config) in (0.1, 0.75)),
    ),
    "B2": (Rule(reason.loss_from_beyond_less_usual, "start", 5, lambda config: started_at(config) in (0.5, 1.5)),),
    "B3": (
        Rule(reason.exponent_of_place_through_rate, "speed", 5, lambda config: config.batch_size == 32),
        Rule(reason.exponent_of_place_through_batch, "speed", 5, lambda config: config.learning_rate == 0.02),
    ),
    "B4": (
        Rule(reason.held_place_of_least_loss, "hold-at", keep=_held_at_usual_speed),
        Rule(reason.held_place_of_best_accuracy, "hold-at", keep=_held_at_usual_speed),
        Rule(
            reason.points_lost_below_the_edge,
            "hold-at",
            keep=lambda config: _held_at_usual_speed(config) and config.hold in (0.5, 1.0),
        ),
    ),
    "B5": (Rule(reason.trained_over_shuffled_edge, "trained-map", keep=_usual_speed),),
    "B6": (
        Rule(reason.start_of_deepest, "depth"),
        Rule(reason.depth_from_edge_over_default, "depth", keep=lambda config: started_at(config) in DEFAULT_AND_EDGE),
    ),
    "B7": (Rule(decay.worst_end, "unseen", keep=lambda config: config.l2 > 0),),
    "B8": (Rule(decay.worst_end, "unseen", keep=lambda config: config.hold > 0),),
    "B9": (
        Rule(decay.loss_spared_by_formula, "contest", keep=_formula_or_free),
        Rule(decay.points_gained_by_formula, "contest", keep=_formula_or_free),
    ),
    "B10": (Rule(decay.wrong_labels_spared, "noisy-long", keep=lambda config: config.hold == 1 or config.l2 == 0),),
    "B11": (
        Rule(
            noisy_growth.noise_in_rise_at_equal_loss,
            "decay-gradients",
            keep=lambda config: config.l2 in (0.0, 3e-4),
        ),
        Rule(noisy_growth.noise_in_rise_at_edge, "decay-gradients", keep=lambda config: config.l2 in (0.0, 9e-5)),
        Rule(noisy_growth.worst_prediction, "decay-gradients"),
    ),
    "B12": (
        Rule(reason.exponent_of_place_in_width, "sizes", keep=_on_most_images),
        Rule(reason.exponent_of_place_in_samples, "sizes", keep=lambda config: config.width == 784),
    ),
}
