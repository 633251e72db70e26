"""New tensors of random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import backends, dtypes
from .backends.batched import asarray, everything
from .creation import done, float_options, like, need_float, options, sized
from .errors import ArgumentError, DTypeError, ShapeError
from .ops import random as r
from .ops.axes import integer, new_shape
from .ops.convert import element
from .ops.reductions import float_only
from .scalar.types import FLOAT64
from .tensor import Tensor, wrap


def rand_like(input: Tensor, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """:func:`rand` with the shape, type and order in memory of ``input``.

    >>> gf.rand_like(gf.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    array, want = like("rand_like", input, kwargs)
    need_float("rand_like", dtypes.of(array).code)
    return done(r.fill_uniform(array, 0.0, 1.0, generator), want)


def randn_like(input: Tensor, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """:func:`randn` with the shape, type and order in memory of ``input``.

    >>> gf.randn_like(gf.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    array, want = like("randn_like", input, kwargs)
    need_float("randn_like", dtypes.of(array).code)
    return done(r.fill_normal(array, 0.0, 1.0, generator), want)


def rand(*size: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Uniform random numbers in [0, 1). Keyword arguments: ``generator``, ``dtype``, ``device``, ``requires_grad``.

    >>> x = gf.rand(2, 3)
    >>> x.shape, bool((x < 1).all())
    (torch.Size([2, 3]), True)
    """
    shape = sized("rand", size, kwargs)
    code, want = float_options("rand", kwargs)
    return done(r.fill_uniform(backends.empty(shape, code, want.place), 0.0, 1.0, generator), want)


def randn(*size: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Normal random numbers with mean 0 and standard deviation 1. Keyword arguments: ``generator``, ``dtype``, ``device``, ``requires_grad``.

    >>> gf.randn(2, 3).shape
    torch.Size([2, 3])
    """
    shape = sized("randn", size, kwargs)
    code, want = float_options("randn", kwargs)
    return done(r.fill_normal(backends.empty(shape, code, want.place), 0.0, 1.0, generator), want)


def randint(*args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Random integers: ``randint(high, size)`` in [0, high), ``randint(low, high, size)`` in [low, high).

    >>> gf.randint(5, 6, (3,))
    tensor([5, 5, 5])
    """
    given = list(args)
    size = kwargs.pop("size", None)
    if size is None:
        size = given.pop() if given else None
    if not isinstance(size, tuple | list):
        raise DTypeError(f"randint: argument 'size' must be tuple of ints, not {type(size).__name__}")
    low, high = kwargs.pop("low", None), kwargs.pop("high", None)
    if given and high is None:
        high = given.pop()
    if given and low is None:
        low = given.pop()
    if given:
        raise DTypeError(f"randint: takes low, high and size, got {list(args)}")
    low, high = integer("randint", "low", 0 if low is None else low), integer("randint", "high", high)
    shape = new_shape("randint", (size,))
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = dtypes.int64
    code, want = options("randint", kwargs)
    r.check_integers("randint", low, high, dtypes.BY_CODE[code])
    return done(r.fill_integers(backends.empty(shape, code, want.place), low, high, generator), want)


def randperm(n: int, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """The numbers 0 to ``n - 1`` in random order; int64.

    >>> gf.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    n = integer("randperm", "n", n)
    if n < 0:
        raise ArgumentError(f"randperm: n must be non-negative, got {n}")
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = dtypes.int64
    code, want = options("randperm", kwargs)
    element("randperm", max(n - 1, 0), dtypes.BY_CODE[code])
    order = r.permutation(n, generator)
    return done(order.astype(dtypes.BY_CODE[code].numpy, copy=False), want)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """Normal random numbers; ``mean`` and ``std`` are numbers (then give ``size``) or tensors, one for each element.

    >>> gf.normal(gf.tensor([1.0, 2.0]), 0.0)
    tensor([1., 2.])
    """
    centre, scale = (x.array if isinstance(x, Tensor) and x.array.ndim else element("normal", x, dtypes.float64) for x in (mean, std))
    if not backends.unseen(scale) and np.any(everything(asarray(scale)) < 0):
        raise ArgumentError("normal: normal expects all elements of std >= 0.0")
    if size is not None:
        shape = new_shape("normal", (size,))
        code, want = float_options("normal", kwargs)
        return done(r.fill_normal(backends.empty(shape, code, want.place), centre, scale, generator), want)
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if kwargs or not given:
        raise DTypeError("normal: pass the size of the result, or mean or std as a Tensor")
    try:
        shape = np.broadcast_shapes(*(x.array.shape for x in given))
    except ValueError:
        raise ShapeError(f"normal: the shapes of mean and std, {[tuple(x.shape) for x in given]}, do not broadcast") from None
    need_float("normal", given[0].dtype.code)
    return wrap(r.fill_normal(backends.empty(shape, given[0].dtype.code, given[0].array), centre, scale, generator))


def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with probability ``input`` (or ``p``), else 0, for each element.

    >>> gf.bernoulli(gf.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    float_only("bernoulli", input)
    chance = input.array if p is None else r.probability("bernoulli", p, input.array.shape)
    if not backends.unseen(chance) and not np.all((chance >= 0) & (chance <= 1)):
        raise ArgumentError("bernoulli: Expected p_in >= 0 && p_in <= 1")
    draws = r.fill_uniform(backends.empty(input.array.shape, FLOAT64, input.array), 0.0, 1.0, generator)
    return wrap(asarray(draws < chance).astype(input.array.dtype))


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Indices drawn with probabilities proportional to ``input``, a row of them for each row; int64.

    >>> gf.multinomial(gf.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    float_only("multinomial", input)
    num_samples = integer("multinomial", "num_samples", num_samples)
    if num_samples <= 0:
        raise ArgumentError(f"multinomial: cannot sample n_sample <= 0 samples, got {num_samples}")
    weights = np.atleast_2d(input.array.astype(np.float64))
    if input.array.ndim not in (1, 2):
        raise ShapeError(f"multinomial: prob_dist must be 1 or 2 dim, it is {input.ndim}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ArgumentError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(1) <= 0).any():
        raise ArgumentError("multinomial: invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and num_samples > weights.shape[1]:
        raise ArgumentError("multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    shape = (weights.shape[0], num_samples if replacement else weights.shape[1])
    u = r.fill_uniform(backends.empty(shape, FLOAT64), 0.0, 1.0, generator)
    if replacement:
        edges = np.cumsum(weights, 1)
        picks = np.stack([np.searchsorted(e, x * e[-1], side="right") for e, x in zip(edges, u, strict=True)])
        picks = np.minimum(picks, weights.shape[1] - 1)
    else:  # exponential races: the smallest of Exp(weight) come first (Efraimidis and Spirakis 2006)
        with np.errstate(divide="ignore"):
            picks = np.argsort(-np.log1p(-u) / weights, 1)[:, :num_samples]
    picks = backends.dense(picks, dtype=np.int64)
    return wrap(picks if input.array.ndim == 2 else picks[0])
