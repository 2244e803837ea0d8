"""What becomes of a backbone in a contest of classifiers.

A backbone maps points (..., B, D) to features (..., B, output_size), and knows nothing of classes.
A Classifier puts a head on it and owns the behaviour: the objective, the way in which it predicts,
and what follows training. (For numbers in place of classes a Regressor does: see regression.py.)
Where an architecture behaves differently, a subclass says so, in the file of that architecture:
whoever trains and compares them needs no ``if``.
"""

from contextlib import contextmanager

import numpy

from minigrad import Tensor, functional, nn, no_grad
from minigrad.checks import check_sizes


class Predictor(nn.Module):
    """A backbone and a head: points (..., B, D) to `outputs` numbers each, (..., B, outputs).

    Args:
        backbone: a module with an `output_size`.
        outputs: the numbers that the head gives.
        train_rows: N, the size of the training set: some objectives weigh a prior against it.
        head: a module from features to outputs; by default `new_head`.
        rng: a seed or Generator for the head's initial weights.
    """

    def __init__(self, backbone, outputs, *, train_rows, head=None, rng=None):
        check_sizes(output_size=getattr(backbone, "output_size", None), train_rows=train_rows)
        self.backbone = backbone
        self.head = head or self.new_head(outputs, rng)
        self.train_rows = train_rows

    def new_head(self, outputs, rng):
        return nn.Linear(self.backbone.output_size, outputs, rng=rng)

    def forward(self, x):
        return self.head(self.backbone(x))


class Classifier(Predictor):
    """A backbone and a head: points (..., B, D) to logits (..., B, C).

    num_classes: C, at least 2. The other arguments are those of Predictor.
    """

    def __init__(self, backbone, num_classes, *, train_rows, head=None, rng=None):
        check_sizes(num_classes=num_classes)
        if num_classes < 2:
            raise ValueError(f"num_classes must be 2 or more, not {num_classes}: nothing to choose")
        super().__init__(backbone, num_classes, train_rows=train_rows, head=head, rng=rng)
        self.num_classes = num_classes

    def loss(self, x, y):
        """The training objective of a minibatch, (...,): one number for each replica.

        `fit` takes a function of (model, x, y): give it ``type(model).loss``.
        """
        return functional.cross_entropy(self(x), y)

    def predict_proba(self, x, *, rng=None):
        """Class probabilities (..., B, C) of points (..., B, D); no graph, and no change of state.

        rng: a seed (a number, or a sequence of them), by which a network that predicts by sampling
            gives the same numbers anywhere; without it, its own noise goes on.
        """
        with predicting(self, rng):
            return functional.softmax(self(points(self, x)))

    def finish(self, x_train):
        """The Classifier to predict with after training on x_train (..., N, D); `self` stays as it
        is. Most are finished by then, and return themselves."""
        return self


@contextmanager
def predicting(model, rng=None):
    """Inside: evaluation mode, no graph, noise from `rng` if it is given. Afterwards as before."""
    with nn.evaluating(model), nn.noise_from(model, rng), no_grad():
        yield


def points(model, x):
    """x as a Tensor (..., B, D) of the dtype of the model's parameters.

    Raises:
        ValueError: fewer than two axes, anything but numbers, or (on the CPU) NaN or infinity, for
            which a network of spikes would have an answer as for any other point.
    """
    x = Tensor(x)
    if x.ndim < 2 or x.dtype.kind not in "biuf":
        raise ValueError(f"expected numbers of shape (..., B, D), not {x.dtype} of shape {x.shape}")
    x = x.data.astype(model.parameters()[0].dtype, copy=False)
    if isinstance(x, numpy.ndarray) and not numpy.isfinite(x).all():
        raise ValueError(f"x holds NaN or infinity, as {x.dtype}")
    return Tensor(x)
