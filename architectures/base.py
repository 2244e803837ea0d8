"""What the eight architectures have in common, and the four places where they differ.

An architecture is a backbone: it maps points (..., B, D) to features (..., B, output_size). A
Classifier puts a head on it. Everything that one architecture does differently from another goes
through four methods, so that whoever trains and compares them needs no ``if``:

    native_head       the head that its paper would use, instead of a linear layer (it may change
                      the backbone, too)
    native_loss       the objective of its paper, instead of the plain cross-entropy
    predict_proba     how class probabilities are made (one pass, or an average over samples)
    finish            what follows training (a conversion), given the training data
"""

from minigrad import Tensor, functional, nn, no_grad


def check_positive(**options):
    """Raise a ValueError that names the first option that is not above 0."""
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value}")


class Architecture(nn.Module):
    """Base class of the backbones. Subclasses set `output_size` and may override the four methods.

    In them `model` is the Classifier around this backbone.
    """

    label = ""  # as it stands in tables and pictures
    family = ""
    output_size = 0

    def native_head(self, num_classes, rng):
        return nn.Linear(self.output_size, num_classes, rng=rng)

    def native_loss(self, model, x, y):
        """(...,): one loss for each of what leads."""
        return functional.cross_entropy(model(x), y)

    def predict_proba(self, model, x):
        """(..., B, C)."""
        return functional.softmax(model(x))

    def finish(self, model, x_train):
        """The Classifier to predict with, after training. `model` itself is not changed."""
        return model


class Classifier(nn.Module):
    """A backbone and a head: points (..., B, D) to logits (..., B, C).

    Args:
        backbone: an Architecture.
        num_classes: C.
        train_rows: N, the size of the training set: some objectives weigh a prior against it.
        native: whether to train by the objective, and with the head, of the architecture's paper;
            otherwise by the plain cross-entropy, with a linear head.
        rng: a seed or Generator for the head's initial weights.
    """

    def __init__(self, backbone, num_classes, *, train_rows, native=False, rng=None):
        self.backbone = backbone
        if native:
            self.head = backbone.native_head(num_classes, rng)
        else:
            self.head = nn.Linear(backbone.output_size, num_classes, rng=rng)
        self.train_rows = train_rows
        self.native = native

    def forward(self, x):
        return self.head(self.backbone(x))

    def loss(self, x, y):
        """The training objective of a minibatch, (...,)."""
        if self.native:
            return self.backbone.native_loss(self, x, y)
        return functional.cross_entropy(self(x), y)

    def predict_proba(self, x):
        """Class probabilities (..., B, C), no graph; the model is left in evaluation mode."""
        self.eval()
        with no_grad():
            return self.backbone.predict_proba(self, Tensor(x))

    def finish(self, x_train):
        """The Classifier to predict with: itself, or what became of it after training."""
        self.eval()
        with no_grad():
            return self.backbone.finish(self, Tensor(x_train))
