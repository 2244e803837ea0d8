"""Convolutional network.

To a fully connected network pixels are numbers in no order: a digit that moves by one pixel is
another digit, and has to be learnt anew. It shows where things may stand anywhere in an image.

Small filters that are the same everywhere, and places that are kept less precisely from layer to
layer: so it need not be learnt that neighbours belong together, and that places matter little.

LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 1998, in spirit.

    symbol     name                                     shape
    x          image                                    (..., B, H, W, C)
    w, b       filters, biases                          (..., k k C_in, C_out), (..., 1, C_out)
    h          feature maps                             (..., B, H', W', C_out)

    h[i, j] = relu(sum_mn w[m, n] x[i + m, j + n] + b)       the same w at all places
    pool(h)[i, j] = max over a tile of 2 x 2 of h
    output = relu(W pool(h(pool(h(x)))) + b)

Deviations from LeNet-5: relu for a scaled tanh; the largest of a tile for its mean with a weight;
every map sees all maps before it; no RBF units: the head is linear. The image is padded by zeros,
so that a convolution keeps its size.
"""

from minigrad import functional, nn
from minigrad.backend import host_rng
from minigrad.checks import check_sizes, check_widths

from .base import as_images, image_shape


class ConvNet(nn.Module):
    """Convolutions, each followed by pooling, and a fully connected layer, the features.

    Args:
        input_size: D, the numbers of an image.
        channels: the number of filters of each convolution.
        output_size: features.
        kernel_size: k, odd.
        shape: (H, W, C); by default a square grey image. Each convolution halves H and W, which
            must be even before.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        channels=(16, 32),
        output_size=64,
        kernel_size=3,
        shape=None,
        *,
        rng=None,
    ):
        check_widths(channels, "channels")
        check_sizes(output_size=output_size, kernel_size=kernel_size)
        self.shape = image_shape(input_size, shape)
        height, width, inputs = self.shape
        halvings = 2 ** len(channels)
        if height % halvings or width % halvings:
            raise ValueError(
                f"{len(channels)} convolutions halve an image of {height} x {width} as often, "
                f"which needs multiples of {halvings}: give fewer channels, or pad the images"
            )
        if not kernel_size % 2:
            raise ValueError(f"a kernel_size of {kernel_size} must be odd, to keep an image's size")
        rng = host_rng(rng)
        self.convolutions = []
        for outputs in channels:
            convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, rng=rng)
            self.convolutions.append(convolution)
            inputs = outputs
        self.pool = nn.MaxPool2d(2)
        pixels = height // halvings * (width // halvings)
        self.linear = nn.Linear(pixels * inputs, output_size, rng=rng)
        self.output_size = output_size

    def forward(self, x):
        h = self.feature_maps(x)[-1]
        *lead, batch, height, width, channels = h.shape
        h = h.reshape(*lead, batch, height * width * channels)
        return functional.relu(self.linear(h))

    def feature_maps(self, x):
        """What each convolution finds, pooled: [(..., B, H', W', C_out)]."""
        h, maps = as_images(x, self.shape), []
        for convolution in self.convolutions:
            h = self.pool(functional.relu(convolution(h)))
            maps.append(h)
        return maps

    def filters(self):
        """The filters of the first convolution as images: an array (..., C_out, k, k, C_in)."""
        first = self.convolutions[0]
        weight = first.linear.weight.data.mT
        return weight.reshape(*weight.shape[:-1], first.size, first.size, self.shape[-1])
