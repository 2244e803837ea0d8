"""Vision transformer: an image is a sequence of patches.

A convolution sees neighbours, and needs many layers before one end of an image meets the other. It
shows where what belongs together stands far apart.

Cut the image into patches and let every patch look at every other one; what is near is not built in
but learnt, which takes more images.

Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at scale",
ICLR 2021; equations by its numbers.

    symbol      name                                    shape                        unit
    x_p         patches of P x P pixels                 (..., B, N, P P C)           N = H W / P^2
    E, b        what makes a token of a patch           (..., P P C, D), (..., 1, D)
    x_class     token that the answer is read from      (..., 1, 1, D)
    E_pos       positions, learnt                       (..., N + 1, 1, D)
    z           tokens                                  (..., (N + 1) B, D)
    P           attention: where a token looks          (..., B, heads, N + 1, N + 1)

    z_0 = [x_class; x_p E + b] + E_pos                                                  Eq. 1
    z' = MSA(norm(z)) + z,   z = FFN(norm(z')) + z'                                     Eqs. 2, 3
    output = norm(z_L)[x_class]                                                         Eq. 4

Attention and feed-forward network are the Transformer's, without its mask.

Deviations: no dropout; P is 2, since the images are small.
"""

import numpy

from minigrad import Tensor, images, nn, ops
from minigrad.backend import host_rng
from minigrad.checks import check_sizes
from minigrad.recurrent import as_rows

from ..sequence.base import FeedForward, ResidualStack, swap
from .base import as_images, image_shape


class Patches(nn.Module):
    """Eq. 1: images to tokens (..., (N + 1) B, width), the class token first, and N + 1."""

    def __init__(self, shape, size, width, *, rng=None):
        height, across, channels = shape
        if height % size or across % size:
            raise ValueError(f"patch_size={size} does not divide an image of {height} x {across}")
        count = height * across // size**2
        rng = host_rng(rng)
        self.linear = nn.Linear(size * size * channels, width, rng=rng)
        self.class_token = parameter(rng, 1, 1, width)
        self.positions = parameter(rng, count + 1, 1, width)
        self.shape, self.size = shape, size

    def forward(self, x):
        patches = images.patches(as_images(x, self.shape), self.size, stride=self.size)
        *lead, batch, down, across, pixels = patches.shape
        patches = as_rows(swap(patches.reshape(*lead, batch, down * across, pixels)))
        tokens = self.linear(patches)  # (..., N B, width)
        *lead, _, width = tokens.shape
        tokens = tokens.reshape(*lead, down * across, batch, width)
        first = ops.broadcast_to(self.class_token, (*lead, 1, batch, width))
        tokens = ops.concatenate([first, tokens], axis=-3) + self.positions
        return as_rows(tokens), down * across + 1


def parameter(rng, *shape):
    """Small normal numbers, as in the authors' code."""
    values = 0.02 * rng.standard_normal(shape)
    return Tensor(values.astype(numpy.float32), requires_grad=True)


class ViT(ResidualStack):
    """A transformer over patches; the features are those of the class token.

    Args:
        input_size: the numbers of an image.
        width: D, of a token.
        num_layers: pairs of attention and feed-forward network.
        num_heads: must divide `width`.
        patch_size: P, must divide height and width.
        shape: (H, W, C); by default a square grey image.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        width=32,
        num_layers=2,
        num_heads=4,
        patch_size=2,
        shape=None,
        *,
        rng=None,
    ):
        check_sizes(width=width, num_layers=num_layers, patch_size=patch_size)
        rng = host_rng(rng)
        entrance = Patches(image_shape(input_size, shape), patch_size, width, rng=rng)
        branches = []
        for _ in range(num_layers):
            branches += [
                nn.MultiHeadAttention(width, num_heads, rng=rng),
                FeedForward(width, 4 * width, rng=rng),
            ]
        super().__init__(entrance, branches, width)

    def forward(self, x):
        return super().forward(x)[..., : x.shape[-2], :]  # the class token of each image

    def attention_maps(self, x):
        """Where each token looks, the class token first, for each layer: arrays
        (..., B, heads, N + 1, N + 1)."""
        given, steps = self.inputs_of_branches(x)
        return [branch.weights(h, steps) for branch, h in zip(self.branches[::2], given[::2])]
