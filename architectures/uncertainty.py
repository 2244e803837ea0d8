"""Predictive uncertainty from sampled predictions, and how honest a prediction's confidence is.

A network with random weights or masks gives S predictions p_1 ... p_S for one point. Entropies in
nats, 0 log 0 = 0:

    total      H[mean_s p_s]            how unsure the averaged prediction is
    aleatoric  mean_s H[p_s]            what each sample is unsure of: classes that overlap
    epistemic  total - aleatoric >= 0   what the samples disagree about: the mutual information
                                        between label and weights (BALD, Houlsby et al. 2011)
"""

from minigrad import Tensor, functional
from minigrad.backend import device, xp
from minigrad.checks import check_sizes
from minigrad.functional.losses import check_probabilities
from minigrad.ops import broadcast_to

from .base import Classifier, points, predicting


class SamplingClassifier(Classifier):
    """Around a backbone with random weights or masks: predicts the average over its `samples`."""

    def sample_proba(self, x, *, samples=None, rng=None):
        """Softmax outputs of many passes at once: (..., B, D) -> (S, ..., B, C).

        The points get a leading axis, in front of that of the replicas in a stack, and weights or
        masks are drawn anew along it.

        Args:
            samples: S; by default as many as the backbone says.
            rng: see `predict_proba`.
        """
        samples = self.backbone.samples if samples is None else samples
        check_sizes(samples=samples)
        with predicting(self, rng):
            return functional.softmax(self(repeated(self, x, samples)))

    def predict_proba(self, x, *, rng=None):
        return self.sample_proba(x, rng=rng).mean(axis=0)

    def uncertainty(self, x, *, samples=None, rng=None):
        """Total, aleatoric and epistemic uncertainty of each point: see `decompose`; the arguments
        are those of `sample_proba`."""
        return decompose(self.sample_proba(x, samples=samples, rng=rng))


def repeated(model, x, samples):
    """Points (..., B, D) as (S, ..., B, D): S passes at once, in front of a stack's replicas."""
    x = points(model, x)
    replicas = model.parameters()[0].shape[:-2]
    lead = max(x.shape[:-2], replicas, key=len)
    return broadcast_to(x, (samples, *lead, *x.shape[-2:]))


def entropy(p):
    """-sum p log p over the last axis, in nats; an array."""
    return -(p * xp.log(xp.where(p > 0, p, 1))).sum(axis=-1)


def decompose(samples):
    """Sampled probabilities (S, ..., B, C) -> {"mean": (..., B, C), and "total", "aleatoric" and
    "epistemic": (..., B) in nats}, as Tensors.

    Raises:
        ValueError: no samples, fewer axes, or (on the CPU) anything but probabilities.
    """
    p = Tensor(samples).data
    if p.ndim < 3 or not len(p):
        raise ValueError(f"expected sampled probabilities (S, ..., B, C), S > 0, not {p.shape}")
    if device() == "cpu":
        check_probabilities(p)
    mean = p.mean(axis=0)
    total, aleatoric = entropy(mean), entropy(p).mean(axis=0)
    # Jensen's inequality makes the difference non-negative; rounding may not.
    epistemic = xp.maximum(total - aleatoric, 0)
    parts = {"mean": mean, "total": total, "aleatoric": aleatoric, "epistemic": epistemic}
    return {name: Tensor(part) for name, part in parts.items()}


def expected_calibration_error(proba, labels, bins=10):
    """How far confidence and accuracy are apart, weighted by how often (Guo et al. 2017, Eq. 3).

    Args:
        proba: (B, C) class probabilities; their maximum is the confidence.
        labels: (B,) class numbers.
        bins: equal intervals of confidence in (0, 1].

    Returns:
        a float in [0, 1]; 0 is perfectly calibrated.

    Raises:
        ValueError: other shapes, no points, no bins, no probabilities, or labels of other classes.
    """
    check_sizes(bins=bins)
    proba = Tensor(proba).data
    labels = labels.data if isinstance(labels, Tensor) else xp.asarray(labels)
    if proba.ndim != 2 or labels.shape != proba.shape[:1] or not labels.size:
        raise ValueError(
            f"expected probabilities (B, C) and labels (B,), not {proba.shape} and {labels.shape}"
        )
    if not ((proba >= 0) & (proba <= 1.001)).all():
        raise ValueError("probabilities lie in [0, 1]: softmax() makes them of logits")
    if labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < proba.shape[1])).all():
        last = proba.shape[1] - 1
        raise ValueError(f"labels of {last + 1} classes are integers, 0 to {last}")
    confidence, correct = proba.max(axis=-1), proba.argmax(axis=-1) == labels
    bin_of = xp.clip(xp.ceil(confidence * bins) - 1, 0, bins - 1)
    members = bin_of == xp.arange(bins)[:, None]  # (bins, B)
    gaps = xp.abs((members * correct).sum(axis=-1) - (members * confidence).sum(axis=-1))
    return float(gaps.sum() / labels.size)
