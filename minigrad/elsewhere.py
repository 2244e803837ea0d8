"""What other libraries call otherwise: whoever asks for it is told what it is called here.

Tables {names: what they are here}; in a text ``{name}`` stands for the name that was asked for.
"""

TENSOR = {
    "add_ div_ fill_ mul_ sub_ zero_": "w.data += ..., w.data[...] = ...",
    "all any argsort nonzero": "x.data.{name}()",
    "chunk": "ops.split(x, sections, axis)",
    "clone copy": "x * 1, or Tensor(x.data.copy()) without a graph",
    "cpu cuda to": "backend.use(device), before the first Tensor is made",
    "double float half int long": "x.astype(dtype)",
    "device": "backend.device(), of all Tensors",
    "dot mm": "x @ y",
    "expand repeat tile": "ops.broadcast_to(x, shape), or ops.concatenate",
    "flatten ravel": "x.reshape(-1)",
    "gather": "ops.take_along_axis(x, indices, axis)",
    "gelu log_softmax logsumexp relu sigmoid silu softmax softplus": "functional.{name}(x)",
    "masked_fill": "ops.where(mask, values, x)",
    "norm": "(x * x).sum() ** 0.5",
    "permute": "x.transpose(axes)",
    "pow": "x ** y",
    "prod": "x[..., 0] * x[..., 1] and so on",
    "requires_grad_": "x.requires_grad = True",
    "retain_grad register_hook": "minigrad.draw, which shows what backward sends where",
    "scatter": "ops.set_at(x, index, values), or ops.add_at",
    "std": "x.var(axis) ** 0.5",
    "swapaxes": "x.transpose(axes), or x.mT for the last two",
    "t": "x.T",
    "tolist": "x.numpy().tolist()",
    "unsqueeze": "ops.expand_dims(x, axis)",
    "view": "x.reshape(shape)",
}
MODULE = {
    "add_module register_module": "module.name = part: attributes are found by themselves",
    "apply": "for part in module.modules(): ...",
    "buffers": "module.named_buffers()",
    "cpu cuda to": "backend.use(device), before the first module is made",
    "double float half": "p.data = p.data.astype(dtype) of each of its parameters",
    "fit": "minigrad.fit(module, x, y, loss, optimizer, epochs=...)",
    "named_children": "module.children()",
    "named_modules": "module.walk()",
    "predict": "module(x), or predict_proba(x) of a Classifier",
    "register_buffer": "module.name = array",
    "register_parameter": "module.name = Tensor(array, requires_grad=True)",
    "requires_grad_": "nn.frozen(module), or requires_grad = False of each of its parameters",
    "save": "minigrad.save(path, module)",
    "zero_grad": "optimizer.zero_grad()",
}
SEQUENTIAL = {"append extend insert pop": "module.layers.{name}(...)"}
OPTIMIZER = {"param_groups add_param_group": "its lr, weight_decay, ...: one for all parameters"}

MINIGRAD = {
    "Linear Module Sequential": "nn.{name}",
    "Adam AdamW SGD": "optim.{name}",
    "arange empty eye full linspace ones rand randn zeros": "Tensor(an array of NumPy's)",
    "cat": "ops.concatenate",
    "cuda device": "backend.use('gpu')",
    "from_numpy tensor": "Tensor(array)",
    "grad hessian hvp jacobian": "higher.{name}",
    "manual_seed seed": "an argument, rng=, of whatever draws",
    "relu softmax": "functional.{name}",
}
OPS = {
    "absolute": "ops.abs",
    "cat": "ops.concatenate",
    "div mul neg pow sub": "an operator, / * - ** -",
    "dot einsum mm": "x @ y",
    "gelu relu sigmoid silu softmax softplus": "functional.{name}",
    "permute": "ops.transpose",
    "unsqueeze": "ops.expand_dims",
}
FUNCTIONAL = {
    "binary_cross_entropy binary_cross_entropy_with_logits": "cross_entropy of two logits",
    "cat concatenate exp log maximum pad sqrt stack where": "in ops",
    "conv2d": "nn.Conv2d",
    "elu leaky_relu": "ops.where(x > 0, x, ...)",
    "gaussian_nll_loss mse_loss": "the same without _loss",
    "max_pool2d": "images.max_pool",
    "nll_loss": "cross_entropy, of logits",
    "one_hot": "numpy.eye(classes)[labels]",
    "scaled_dot_product_attention": "attention(queries, keys, values, beta)",
}
NN = {
    "BatchNorm1d": "BatchNorm",
    "CrossEntropyLoss": "functional.cross_entropy",
    "Flatten": "lambda x: x.reshape(len(x), -1)",
    "GELU ReLU SELU SiLU Sigmoid Softmax Softplus Tanh": "a function: functional.relu, say",
    "GRU LSTM RNN": "recurrent.gru",
    "Identity": "lambda x: x",
    "MSELoss": "functional.mse",
    "ModuleDict ModuleList ParameterList": "a dict or list, as an attribute",
    "Parameter": "Tensor(array, requires_grad=True)",
    "functional init": "minigrad.{name}",
    "utils": "clip_norm or clip_value of an optimizer",
}
OPTIM = {"lr_scheduler": "minigrad.schedules, and fit(schedule=...)"}


class Elsewhere:
    """Stands for an attribute that a class does not have, and says what it is called here.

    A `__getattr__` of Tensor could say it, too. But for a class that has one, Python no longer
    remembers where its attributes are, and a training step takes 4 % longer.
    """

    def __init__(self, name, here):
        self.name, self.here = name, here

    def __repr__(self):  # what help() shows
        return self.here

    def __get__(self, thing, kind):
        if thing is None:
            return self
        why = f"a {type(thing).__name__} has no {self.name!r}: it is {self.here}"
        raise AttributeError(why, name=self.name, obj=thing)


def each(table):
    """{name: what it is here}, of each name of a table."""
    return {name: here.format(name=name) for names, here in table.items() for name in names.split()}


def tell(kind, table):
    """Let a class know what a table says. (Attributes of these names may still be set.)"""
    for name, here in each(table).items():
        setattr(kind, name, Elsewhere(name, here))


def telling(room, table):
    """The `__getattr__` of a module, which is asked only for what the module does not have."""
    known = each(table)

    def __getattr__(name):
        hint = f": it is {known[name]}" if name in known else ""
        raise AttributeError(f"module {room!r} has no attribute {name!r}{hint}", name=name)

    return __getattr__
