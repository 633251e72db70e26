"""What MXNet has beside NumPy: activations, losses' parts and layers' functions, by ``npx``'s names and by ``nd``'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from ..nn import functional as F
from ..tensor import Tensor
from . import texts_of_layers as texts
from .array import element_type, gf, state
from .functions import NUMPY, classic_reshape, flatten, positions, real_arrays
from .texts import explain

EXTENSION: dict[str, Callable] = {name: getattr(gf, name) for name in ("relu", "sigmoid", "erf", "erfinv")}
EXTENSION |= {"gammaln": gf.lgamma, "batch_flatten": flatten, "softsign": F.softsign, "log_sigmoid": F.logsigmoid, "mish": F.mish}


def known(function: Callable) -> Callable:
    EXTENSION[function.__name__] = function
    return function


@known
def softmax(data: Tensor, axis: int = -1, temperature: float | None = None) -> Tensor:
    return gf.softmax(data if temperature is None else data / temperature, axis)


@known
def log_softmax(data: Tensor, axis: int = -1, temperature: float | None = None) -> Tensor:
    return gf.log_softmax(data if temperature is None else data / temperature, axis)


@known
def gamma(data: Tensor) -> Tensor:
    """The gamma function."""
    x = data
    # of a negative number the sign is that of every other interval
    sign = gf.where((x < 0) & (gf.remainder(gf.floor(x), 2) == 1), -1.0, 1.0)
    return sign.to(x.dtype) * gf.exp(gf.lgamma(x))


ACTIVATIONS = {"relu": gf.relu, "sigmoid": gf.sigmoid, "tanh": gf.tanh, "softrelu": F.softplus, "softsign": F.softsign}
ACTIVATIONS |= {"log_sigmoid": F.logsigmoid, "mish": F.mish}


@known
def activation(data: Tensor, act_type: str = "relu") -> Tensor:
    if act_type not in ACTIVATIONS:
        raise ArgumentError(f"activation: act_type is {act_type!r}; expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[act_type](data)


@known
def leaky_relu(data: Tensor, gamma: Tensor | None = None, act_type: str = "leaky", slope: float = 0.25) -> Tensor:
    if act_type == "prelu" and gamma is not None:
        return F.prelu(data, gamma)
    kinds: dict[str, Callable] = {
        "leaky": lambda x: F.leaky_relu(x, slope),
        "elu": lambda x: F.elu(x, slope),
        "selu": F.selu,
        "gelu": F.gelu,
    }
    if act_type not in kinds:
        raise ArgumentError(f"leaky_relu: act_type is {act_type!r}; expected 'prelu' with gamma, or one of {', '.join(kinds)}")
    return kinds[act_type](data)


@known
def one_hot(data: Tensor, depth: int, on_value: float = 1.0, off_value: float = 0.0, dtype: Any = "float32") -> Tensor:
    """``on_value`` at each index, ``off_value`` elsewhere; an index outside [0, depth) gives a row without any."""
    hot = data.to(gf.int64).unsqueeze(-1) == gf.arange(depth)
    return gf.where(hot, float(on_value), float(off_value)).to(element_type(dtype))


@known
def pick(data: Tensor, index: Tensor, axis: int = -1, mode: str = "clip", keepdims: bool = False) -> Tensor:
    """The element at ``index`` along ``axis``, one from each row."""
    at = positions(index, data.shape[axis], mode, "pick")
    at = at if at.ndim == data.ndim else at.unsqueeze(axis)
    picked = gf.take_along_dim(data, at, axis)
    return picked if keepdims else picked.squeeze(axis)


@known
def topk(data: Tensor, axis: int = -1, k: int = 1, ret_typ: str = "indices", is_ascend: bool = False, dtype: Any = "float32") -> Any:
    values, indices = gf.topk(data, k, axis, not is_ascend)
    at = indices.to(element_type(dtype))
    if ret_typ == "mask":
        return gf.zeros_like(data.detach()).scatter(axis, indices, 1.0)
    kinds = {"indices": at, "value": values, "both": [values, at]}
    if ret_typ not in kinds:
        raise ArgumentError(f"topk: ret_typ is {ret_typ!r}; expected 'indices', 'value', 'both' or 'mask'")
    return kinds[ret_typ]


@known
def fully_connected(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, num_hidden: int | None = None, no_bias: bool = False, flatten: bool = True
) -> Tensor:
    """x Wᵀ + b; all axes of x but the first are one if ``flatten``."""
    rows = x.reshape(x.shape[0], -1) if flatten and x.ndim > 2 else x
    if num_hidden is not None and weight.shape[0] != num_hidden:
        raise ArgumentError(f"fully_connected: num_hidden is {num_hidden}, but the weight has {weight.shape[0]} rows")
    return F.linear(rows, weight, None if no_bias else bias)


@known
def embedding(data: Tensor, weight: Tensor, input_dim: int | None = None, output_dim: int | None = None, dtype: Any = None) -> Tensor:
    return F.embedding(positions(data, weight.shape[0], "clip", "embedding"), weight)


@known
def dropout(data: Tensor, p: float = 0.5, mode: str = "training") -> Tensor:
    """Zeros with probability ``p``, while training (or with ``mode='always'``), the rest scaled by 1 / (1 - p)."""
    return F.dropout(data, p, state.training or mode == "always")


@known
def layer_norm(data: Tensor, gamma: Tensor, beta: Tensor, axis: int = -1, eps: float = 1e-5) -> Tensor:
    rows = gf.movedim(data, axis, -1)
    return gf.movedim(F.layer_norm(rows, (rows.shape[-1],), gamma, beta, eps), -1, axis)


@known
def convolution(
    data: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    kernel: Any = None,
    stride: Any = 1,
    dilate: Any = 1,
    pad: Any = 0,
    num_filter: int | None = None,
    num_group: int = 1,
    no_bias: bool = False,
) -> Tensor:
    """Over one, two or three axes after batch and channels, as many as the weight has."""
    if num_filter is not None and weight.shape[0] != num_filter:
        raise ArgumentError(f"convolution: num_filter is {num_filter}, but the weight has {weight.shape[0]} filters")
    if kernel is not None and tuple(kernel) != tuple(weight.shape[2:]):
        raise ArgumentError(f"convolution: kernel is {tuple(kernel)}, but the weight's is {tuple(weight.shape[2:])}")
    functions = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
    if weight.ndim not in functions:
        raise ArgumentError(
            f"convolution: the weight has the shape {tuple(weight.shape)}; expected (filters, channels, kernel...) of 3 to 5 axes"
        )
    return functions[weight.ndim](data, weight, None if no_bias else bias, stride, pad, dilate, num_group)


@known
def pooling(
    data: Tensor,
    kernel: Any = 1,
    stride: Any = 1,
    pad: Any = 0,
    pool_type: str = "max",
    global_pool: bool = False,
    count_include_pad: bool = True,
    pooling_convention: str = "valid",
) -> Tensor:
    """The greatest, or the mean, of each window; of all there is if ``global_pool``."""
    functions: dict[str, tuple[Callable, ...]] = {
        "max": (F.max_pool1d, F.max_pool2d, F.max_pool3d),
        "avg": (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d),
    }
    if pool_type not in functions or not 3 <= data.ndim <= 5 or pooling_convention not in ("valid", "full"):
        raise ArgumentError(
            f"pooling: pool_type={pool_type!r} with pooling_convention={pooling_convention!r} of {data.ndim} axes; expected 'max' or 'avg', 'valid' "
            "or 'full', and data of 3 to 5 axes"
        )
    axes = tuple(range(2, data.ndim))
    if global_pool:
        return gf.amax(data, axes, keepdim=True) if pool_type == "max" else gf.mean(data, axes, keepdim=True)
    words: dict[str, Any] = {"ceil_mode": pooling_convention == "full"}
    if pool_type == "avg":
        words["count_include_pad"] = count_include_pad
    return functions[pool_type][data.ndim - 3](data, kernel, stride, pad, **words)


@known
def batch_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    axis: int = 1,
) -> Tensor:
    """Normalised over all axes but ``axis``: while training by the batch's statistics, which the running ones follow, else by those."""
    x = gf.movedim(x, axis, 1)
    scale = None if fix_gamma else gamma
    if state.training and not use_global_stats:
        axes = tuple(i for i in range(x.ndim) if i != 1)
        with gf.no_grad():
            var, mean = gf.var_mean(x, axes, correction=0)
            for running, now in ((running_mean, mean), (running_var, var)):
                running.mul_(momentum).add_(now, alpha=1 - momentum)
        y = F.batch_norm(x, None, None, scale, beta, True, 0.0, eps)
    else:
        y = F.batch_norm(x, running_mean, running_var, scale, beta, False, 0.0, eps)
    return gf.movedim(y, 1, axis)


@known
def batch_dot(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    return gf.bmm(a.mT if transpose_a else a, b.mT if transpose_b else b)


@known
def smooth_l1(data: Tensor, scalar: float = 1.0) -> Tensor:
    square = scalar * scalar
    size = gf.abs(data)
    return gf.where(size < 1 / square, 0.5 * square * data * data, size - 0.5 / square)


@known
def sequence_mask(
    data: Tensor, sequence_length: Tensor | None = None, use_sequence_length: bool = False, value: float = 0.0, axis: int = 0
) -> Tensor:
    """``value`` in the places of each sequence beyond its length; sequences run along ``axis`` 0 or 1, the batch along the other."""
    if not use_sequence_length or sequence_length is None:
        return data
    steps = gf.arange(data.shape[axis])
    lengths = sequence_length.to(gf.int64)
    outside = steps.unsqueeze(1) >= lengths if axis == 0 else steps >= lengths.unsqueeze(1)
    return gf.masked_fill(data, outside.reshape(*outside.shape, *[1] * (data.ndim - 2)), value)


@known
def reshape_like(lhs: Tensor, rhs: Tensor) -> Tensor:
    return lhs.reshape(*rhs.shape)


@known
def arange_like(data: Tensor, start: float = 0.0, step: float = 1.0, axis: int | None = None) -> Tensor:
    n = data.numel() if axis is None else data.shape[axis]
    line = start + step * gf.arange(n, dtype=data.dtype)
    return line.reshape(*data.shape) if axis is None else line


@known
def gather_nd(data: Tensor, indices: Tensor) -> Tensor:
    return data[tuple(indices.to(gf.int64))]


# ``nd`` and ``sym``: an older vocabulary for the same.


def reduced(name: str) -> Callable:
    function = NUMPY[name]

    def call(data: Tensor, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> Tensor:
        axis = tuple(axis) if isinstance(axis, list) else axis
        if exclude:
            given = {a % data.ndim for a in ((axis,) if isinstance(axis, int) else axis or ())}
            axis = tuple(i for i in range(data.ndim) if i not in given)
        return function(data, axis=axis, keepdims=keepdims)

    call.__name__ = name
    return call


def arg(name: str) -> Callable:
    function = NUMPY[name]

    def call(data: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return function(data, axis=axis, keepdims=keepdims).to(gf.float32)

    call.__name__ = name
    return call


def concat(*data: Any, dim: int = 1) -> Tensor:
    """The arrays, one after the other along ``dim``."""
    return gf.cat(real_arrays("concat", data), dim)


def stack(*data: Any, axis: int = 0) -> Tensor:
    return gf.stack(real_arrays("stack", data), axis)


def classic_dot(lhs: Tensor, rhs: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The last axis of ``lhs`` with the first of ``rhs``."""
    lhs = lhs.permute(*range(lhs.ndim)[::-1]) if transpose_a else lhs
    rhs = rhs.permute(*range(rhs.ndim)[::-1]) if transpose_b else rhs
    return gf.matmul(lhs, rhs) if rhs.ndim <= 2 else gf.tensordot(lhs, rhs, ((lhs.ndim - 1,), (0,)))


def norm(data: Tensor, ord: int = 2, axis: Any = None, keepdims: bool = False) -> Tensor:
    return gf.norm(data, ord, axis, keepdims)


def slice_axis(data: Tensor, axis: int, begin: int, end: int | None) -> Tensor:
    return data[(*[slice(None)] * (axis % data.ndim), slice(begin, end))]


def split(data: Tensor, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> Any:
    parts = NUMPY["split"](data, num_outputs, axis)
    parts = [p.squeeze(axis) for p in parts] if squeeze_axis else parts
    return parts if num_outputs > 1 else parts[0]


def add_n(*args: Tensor) -> Tensor:
    first, *rest = real_arrays("add_n", args)
    for a in rest:
        first = first + a
    return first


# Those of NumPy's that ``nd`` has by the same name and with the same meaning.
SHARED = """
    abs exp expm1 log log2 log10 log1p sqrt square reciprocal negative sign floor ceil trunc fix rint round
    sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians maximum minimum power add subtract multiply
    divide equal not_equal greater greater_equal less less_equal logical_not clip where take transpose expand_dims squeeze tile repeat flip
    diag broadcast_to sort argsort""".split()

CLASSIC: dict[str, Callable] = {name: NUMPY[name] for name in SHARED} | EXTENSION
CLASSIC |= {name: reduced(name) for name in ("sum", "mean", "prod", "max", "min", "nansum")}
CLASSIC |= {name: arg(name) for name in ("argmax", "argmin")}
CLASSIC |= {f.__name__: f for f in (concat, stack, norm, slice_axis, split, add_n, flatten)}
CLASSIC |= {"dot": classic_dot, "reshape": classic_reshape, "swapaxes": NUMPY["swapaxes"], "softrelu": F.softplus}
CLASSIC |= {
    "FullyConnected": fully_connected,
    "Activation": activation,
    "LeakyReLU": leaky_relu,
    "Embedding": embedding,
    "Dropout": dropout,
}
CLASSIC |= {
    "LayerNorm": layer_norm,
    "Convolution": convolution,
    "Pooling": pooling,
    "BatchNorm": batch_norm,
    "Concat": concat,
    "Flatten": flatten,
    "SequenceMask": sequence_mask,
    "ElementWiseSum": add_n,
}
CLASSIC |= {f"elemwise_{n}": NUMPY[m] for n, m in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("div", "divide"))}
CLASSIC |= {f"broadcast_{n}": CLASSIC[m] for n, m in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("div", "divide"))}
CLASSIC |= {f"broadcast_{n}": CLASSIC[n] for n in ("maximum", "minimum", "power", "equal", "not_equal", "greater", "less")}
CLASSIC |= {f"broadcast_{n}": CLASSIC[n] for n in ("greater_equal", "less_equal")}

explain(EXTENSION, texts.EXTENSION)
explain(CLASSIC, texts.CLASSIC)
