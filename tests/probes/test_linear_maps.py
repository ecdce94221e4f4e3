"""Linear maps whose spectral radius is known."""

import pytest

from edgechaos_core.probes.linear_maps import radius_of_cut


def test_a_random_matrix_without_its_largest_singular_values_has_a_smaller_spectral_radius():
    whole, cut, none = (radius_of_cut(200, 0.5, removed, seed=1) for removed in (0, 28, 200))
    assert whole == pytest.approx(0.5, rel=0.1)  # Girko's circle law
    assert 0.7 * whole < cut < 0.85 * whole
    assert none == pytest.approx(0, abs=1e-12)
