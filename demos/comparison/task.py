"""What the architectures learn: one data set for each replica."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

TRAIN_SHARE = 0.8


@dataclass(frozen=True)
class Task:
    """R data sets of the same kind, one for each replica.

    x_train, x_test: (R, N, D), float32; of a large file LazyRows (see minigrad.data).
    imputed: "mean" or "median", which of their column's training rows stands for missing values;
        None: nothing may be missing.
    fill: (R, D), what that is, in the data's own units.
    notes: sentences that belong under every table of results.
    mean, deviation: (R, D), by which x was standardised; None if it is in the data's own units.
    y_train, y_test: (R, N), integers that index `class_names`.
    extent: (left, right, bottom, top) of the pictures, where D = 2.
    posterior: maps points (..., 2) to the true class probabilities (..., C), where they are known.
    bayes_accuracy: the expected accuracy of the best possible classifier.
    baselines: {name: the accuracies (R,) of a simple classifier}.
    resampled: whether all replicas split the same rows, instead of having rows of their own.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple
    feature_names: tuple
    extent: tuple = ()
    posterior: Callable | None = None
    bayes_accuracy: float | None = None
    baselines: dict = field(default_factory=dict)
    resampled: bool = False
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None
    imputed: str | None = None
    fill: np.ndarray | None = None
    notes: tuple = ()

    @property
    def overlap(self):
        """How much the replicas have in common, for their intervals: see `ranking.estimate`."""
        return self.y_test.shape[-1] / self.y_train.shape[-1] if self.resampled else 0.0

    def in_words(self, recipe):
        """How much there is to learn from."""
        train, test = self.y_train.shape[-1], self.y_test.shape[-1]
        batches = -(-train // recipe.batch_size)
        return f"{train} train / {test} test, {len(self.class_names)} classes, {batches} batches"

    def scale(self, replica):
        """(mean, deviation), each (D,): x * deviation + mean is in the data's own units."""
        if self.mean is None:
            features = len(self.feature_names)
            return np.zeros(features), np.ones(features)
        return self.mean[replica], self.deviation[replica]
