"""A small Bayesian regression that learns from a handful of runs and says how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Student-t errors: a run six noises off counts a tenth of an ordinary one.
_T_DEGREES = 4.0
_ITERATIONS = 10
# How many runs' worth of belief the assumed noise has against the noise that is seen.
_NOISE_BELIEF = 4.0


@dataclass(frozen=True)
class Regression:
    """Fits of the same rows as history grew: fit `k` knows the rows before `k`, the last one knows all.

    Every fit starts at zero (the prior), so that it moves only as far as its rows carry it. That the earlier
    fits are kept lets each run be compared with what was foretold of it (prequential, Dawid 1984).

    Attributes:
        features: rows by features.
        values: what was observed of each row.
        coefficients: (rows + 1) by features.
        covariances: of the coefficients, (rows + 1) by features by features.
        noise: variance of one observation, by fit.
    """

    features: Floats
    values: Floats
    coefficients: Floats
    covariances: Floats
    noise: Floats

    def foretold(self) -> tuple[Floats, Floats]:
        """Of every row: its value and variance, predicted from the rows before it alone."""
        rows = len(self.values)
        mean = np.einsum("kp,kp->k", self.features, self.coefficients[:rows])
        spread = np.einsum("kp,kpq,kq->k", self.features, self.covariances[:rows], self.features)
        return mean, spread + self.noise[:rows]

    def predict(self, features: Floats) -> tuple[float, float]:
        """Value and variance of a row never seen, from all rows."""
        variance = features @ self.covariances[-1] @ features + self.noise[-1]
        return float(features @ self.coefficients[-1]), float(variance)


def fit(features: Floats, values: Floats, weights: Floats, *, prior_deviations: Floats, noise: float) -> Regression:
    """Fit by expectation-maximisation for Student-t errors (Lange, Little and Taylor 1989), all fits at once.

    Args:
        features: rows by features, the oldest row first.
        values: one a row.
        weights: (rows + 1) by rows; `weights[k, j]` is what row j counts in fit k, 0 where j >= k.
        prior_deviations: how far each coefficient may lie from zero, one standard deviation.
        noise: standard deviation of one observation, as it is assumed before any was seen.
    """
    count = features.shape[1]
    outer = (features[:, :, None] * features[:, None, :]).reshape(len(values), count * count)
    precision = np.diag(prior_deviations**-2.0)
    trust = weights
    variance = np.full(len(weights), noise**2)
    coefficients = np.zeros((len(weights), count))
    inverse = np.broadcast_to(np.diag(prior_deviations**2.0), (len(weights), count, count))
    for turn in range(_ITERATIONS):
        if turn:
            squares = (values - coefficients @ features.T) ** 2
            trust = weights * (_T_DEGREES + 1) / (_T_DEGREES + squares / variance[:, None])
            seen = (trust * squares).sum(axis=1)
            variance = (_NOISE_BELIEF * noise**2 + seen) / (_NOISE_BELIEF + weights.sum(axis=1))
        information = (trust @ outer).reshape(-1, count, count) / variance[:, None, None] + precision
        inverse = np.linalg.inv(information)
        coefficients = np.einsum("kpq,kq->kp", inverse, (trust * values) @ features / variance[:, None])
    return Regression(features, values, coefficients, np.asarray(inverse), variance)
