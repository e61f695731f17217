"""Whether a difference between two models may be chance: p values of paired tests, and their correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from palate.evaluation._outcomes import Array
from palate.evaluation._task_spec import Rows

__all__ = ["bootstrap_p_value", "holm", "mcnemar_p_value"]


def bootstrap_p_value(samples: Array, value: float) -> float:
    """Return how often a difference as great would be chance: twice the share of samples on the other side of 0.

    Where no sample is, their number says only that it is rare; how rare is then told from their spread.
    """
    beyond = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    counted = min(1.0, 2 * (beyond + 1) / (len(samples) + 1))
    spread = float(samples.std())
    if beyond or spread == 0:
        return counted
    return min(counted, math.erfc(abs(value) / spread / math.sqrt(2)))


def mcnemar_p_value(a: Rows, b: Rows) -> float | None:
    """Return the p value of McNemar's exact test of the rows of which one model is right; None where rows have weights.

    Args:
        a: rows as the first model predicts them.
        b: the same rows, in the same order, as the second one does.
    """
    from scipy.stats import binomtest

    if a.weights is not None:
        return None
    only_a = int(((a.predicted == a.truth) & (b.predicted != b.truth)).sum())
    only_b = int(((a.predicted != a.truth) & (b.predicted == b.truth)).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values multiplied by how many hypotheses are left, never less than that of a smaller one."""
    corrected, greatest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        greatest = max(greatest, min(1.0, p_values[at] * (len(p_values) - rank)))
        corrected[at] = greatest
    return corrected
