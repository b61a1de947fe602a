"""Student's paired t-test against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from keras_hkd.report.paired_test import paired_test, t_test_p_value


@pytest.mark.parametrize("number", [2, 3, 4, 5, 8, 13])
def test_p_values_are_those_of_scipy(number):
    generator = np.random.default_rng(number)
    first = generator.normal(0.2, 0.02, number)
    second = first + generator.normal(0.01, 0.01, number)
    found = paired_test(first, second)
    assert found.p_value == pytest.approx(stats.ttest_rel(second, first).pvalue, abs=1e-12)
    assert found.mean == pytest.approx(np.mean(second - first))
    assert found.deviation == pytest.approx(np.std(second - first, ddof=1))


@pytest.mark.parametrize("degrees", [1, 2, 3, 6, 30])
@pytest.mark.parametrize("t", [0.0, 0.3, -2.5, 40.0])
def test_both_tails_of_t(t, degrees):
    assert t_test_p_value(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-12)


def test_one_pair_tests_nothing_and_equal_differences_are_certain():
    assert paired_test([0.2], [0.3])[2:] == (None, None)
    assert paired_test([0.25, 0.5], [0.5, 0.75]).p_value == 0.0
    assert paired_test([0.25, 0.5], [0.25, 0.5]).p_value == 1.0


@pytest.mark.parametrize("pair", [([], []), ([1.0], [1.0, 2.0])])
def test_values_that_cannot_be_paired_are_refused(pair):
    with pytest.raises(ValueError, match="as many values on both sides"):
        paired_test(*pair)
