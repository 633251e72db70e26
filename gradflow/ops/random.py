"""Random numbers: Philox counters, computed inside programs, the same on every device. Dropout stores no mask, it draws it again."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from .. import backends, dtypes
from ..backends.batched import copies, running
from ..errors import ArgumentError, DeviceError, DTypeError, NumberError, ShapeError
from ..kinds import elementwise
from ..kinds.formulas import camel
from ..kinds.history import Overwrite, change_in_place, overwrite
from ..scalar import primitives as s
from ..scalar.types import BOOL, FLOAT32, FLOAT64, INT64
from ..tensor import Tensor, note, wrap
from .axes import flag, integer
from .convert import LIMITS, element, on_device

TWO_PI = 2 * math.pi
FLOAT = dtypes.float64
F = TypeVar("F", bound=Callable[..., Any])


class Generator:
    """A stream of random numbers: a seed, and how many have been drawn. Two with one seed give the same numbers.

    >>> a, b = gf.Generator().manual_seed(7), gf.Generator().manual_seed(7)
    >>> gf.equal(gf.rand(3, generator=a), gf.rand(3, generator=b))
    True
    """

    def __init__(self, device: Any = "cpu"):
        on_device("Generator", device)
        self.device = device
        self.seed_, self.offset = 67280421310721, 0

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of ``seed``; returns the generator."""
        if not isinstance(seed, int):
            raise DTypeError(f"manual_seed: expected an int, not {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ArgumentError(f"manual_seed: Overflow when unpacking long: {seed} is not a 64-bit integer")
        seed = seed - 2**64 if seed >= 2**63 else seed
        if backends.recording.graph is not None and seed != self.seed_:
            raise DeviceError(
                "manual_seed: a seed cannot be set while a graph is recorded, which takes the one of each replay; set it before or after"
            )
        self.seed_, self.offset = seed, 0
        return self

    def seed(self) -> int:
        """Start a stream that nobody knows; returns its seed."""
        seed = secrets.randbits(63)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        return self.seed_ % 2**64

    def take(self, n: int, array: Any = None) -> tuple[Any, Any]:
        """(seed, offset) of ``n`` numbers, which nobody else will get. Offsets are multiples of four, the size of a Philox block.

        A graph that fills ``array`` reads them from the device's memory: whenever it is run, the numbers are new."""
        if running.stack:
            n *= copies()
        graph = backends.recording.graph
        if graph is not None and array is None:
            backends.refuse_waiting("Generator: the host draws random numbers")
        if graph is not None and backends.place_of(array) is not None:
            return graph.take(self, n)
        offset = self.offset
        self.offset += (n + 3) // 4 * 4
        return self.seed_, offset

    def get_state(self) -> Tensor:
        """The state as a tensor of bytes. While a graph is recorded, what it has drawn counts."""
        graph = backends.recording.graph
        offset = self.offset + (0 if graph is None else graph.drawn(self))
        return wrap(np.frombuffer(np.array([self.seed_, offset], np.int64).tobytes(), np.uint8).copy())

    def set_state(self, state: Tensor) -> Generator:
        """Continue from a state that :meth:`get_state` gave."""
        if not isinstance(state, Tensor) or state.array.dtype != np.uint8:
            raise DTypeError("set_state: RNG state must be a tensor of bytes, as get_state() returned it")
        if state.array.size != 16:
            raise ArgumentError("set_state: expected the 16 bytes that get_state() returned")
        seed, offset = (int(v) for v in np.frombuffer(state.array.tobytes(), np.int64))
        graph = backends.recording.graph
        if graph is None:
            self.seed_, self.offset = seed, offset
        elif seed == self.seed_ and offset >= self.offset:
            graph.draw_from(self, offset - self.offset)
        else:
            raise DeviceError(
                "set_state: while a graph is recorded, only states that it has been in can be set; set others before or after"
            )
        return self


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default stream at ``seed``.

    >>> _ = gf.manual_seed(7)
    >>> x = gf.rand(3)
    >>> _ = gf.manual_seed(7)
    >>> gf.equal(gf.rand(3), x)
    True
    """
    try:
        number = int(seed)
    except (TypeError, ValueError) as error:
        raise (DTypeError if isinstance(error, TypeError) else ArgumentError)(f"manual_seed: {error}") from None
    return default_generator.manual_seed(number)


def seed() -> int:
    """Start the default stream at a random place; returns the seed.

    >>> gf.seed() == gf.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default stream.

    >>> _ = gf.manual_seed(7)
    >>> gf.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default stream's state.

    >>> state = gf.get_rng_state()
    >>> x = gf.rand(3)
    >>> gf.set_rng_state(state)
    >>> gf.equal(gf.rand(3), x)
    True
    """
    return default_generator.get_state()


def set_rng_state(state: Tensor) -> None:
    """Continue the default stream from ``state``.

    >>> state = gf.get_rng_state()
    >>> x = gf.rand(3)
    >>> gf.set_rng_state(state)
    >>> gf.equal(gf.rand(3), x)
    True
    """
    default_generator.set_state(state)


def unit(seed, offset, bits: int, dtype: int):
    """A number in [0, 1): the upper 24 bits for float32."""
    return s.cast(s.shift_right(s.random(seed, offset), 32 - bits), dtype) * 2.0**-bits


@backends.kernel(raw=("seed", "offset"))
def uniform32(low, high, seed, offset):
    u = unit(seed, offset, 24, FLOAT32)
    return low + u * (high - low)


@backends.kernel(raw=("seed", "offset", "more"))
def uniform64(low, high, seed, offset, more):
    u = (
        s.cast(s.shift_right(s.random(seed, offset), 6), FLOAT64) * 2.0**-26
        + s.cast(s.shift_right(s.random(seed, more), 5), FLOAT64) * 2.0**-53
    )
    return low + u * (high - low)


def box_muller(u, v):
    """A normal number from two uniform ones, ``u`` in (0, 1]. Box and Muller 1958."""
    return s.sqrt(-2.0 * s.log(u)) * s.cos(TWO_PI * v)


@backends.kernel(raw=("seed", "offset", "more"))
def normal32(mean, std, seed, offset, more):
    u = (s.cast(s.shift_right(s.random(seed, offset), 8), FLOAT32) + 1.0) * 2.0**-24
    return mean + std * box_muller(u, unit(seed, more, 24, FLOAT32))


@backends.kernel(raw=("seed", "offset", "more"))
def normal64(mean, std, seed, offset, more):
    u = (s.cast(s.random(seed, offset), FLOAT64) + 1.0) * 2.0**-32
    return mean + std * box_muller(u, s.cast(s.random(seed, more), FLOAT64) * 2.0**-32)


@backends.kernel(raw=("seed", "offset", "more"))
def bits64(seed, offset, more):
    return s.bit_or(s.shift_left(s.random(seed, offset), 32), s.random(seed, more))


def bits62(seed, offset, more):
    return s.bit_or(s.shift_left(s.shift_right(s.random(seed, offset), 2), 32), s.random(seed, more))


draws62 = backends.kernel(bits62, raw=("seed", "offset", "more"))


@backends.kernel(raw=("low", "span", "seed", "offset", "more"))
def integers64(low, span, seed, offset, more):
    """low + (62 random bits) mod span"""
    return low + s.remainder(bits62(seed, offset, more), span)


@backends.kernel(raw=("low", "span", "seed", "offset"))
def integers32(low, span, seed, offset):
    """low + floor(span u), u in [0, 1) from 32 random bits: even enough for a small span"""
    return low + s.shift_right(s.random(seed, offset) * span, 32)


def stream(generator: Any) -> Generator:
    """The generator that was given, or the default one."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise DTypeError(f"generator: expected a Generator, not {type(generator).__name__}")
    return generator


def whole(draw: F) -> F:
    """``draw``, whose last argument is a generator, and which takes no numbers from it where it fails."""

    @wraps(draw)
    def call(*args: Any) -> Any:
        g = stream(args[-1])
        before = g.offset
        try:
            return draw(*args)
        except BaseException:
            g.offset = before
            raise

    return cast(F, call)


@whole
def fill_uniform(array: Any, low: float, high: float, generator: Generator | None) -> Any:
    g = stream(generator)
    seed, offset = g.take(array.size, array)
    if array.dtype.itemsize == 8:
        _, more = g.take(array.size, array)
        return backends.elementwise(uniform64, (low, high, seed, offset, more), array)
    return backends.elementwise(uniform32, (low, high, seed, offset), array)


@whole
def fill_normal(array: Any, mean: Any, std: Any, generator: Generator | None) -> Any:
    g = stream(generator)
    (seed, offset), (_, more) = g.take(array.size, array), g.take(array.size, array)
    return backends.elementwise(normal64 if array.dtype.itemsize == 8 else normal32, (mean, std, seed, offset, more), array)


@whole
def fill_integers(array: Any, low: int, high: int, generator: Generator | None) -> Any:
    g = stream(generator)
    seed, offset = g.take(array.size, array)
    if high - low <= 2**20:
        return backends.elementwise(integers32, (low, high - low, seed, offset), array)
    _, more = g.take(array.size, array)
    if high - low <= 2**62:
        return backends.elementwise(integers64, (low, high - low, seed, offset, more), array)
    bits = backends.elementwise(bits64, (seed, offset, more), backends.empty(array.shape, INT64, array)).view("uint64")
    array[...] = (bits % np.uint64(high - low) + np.uint64(low % 2**64)).view("int64")  # both wrap, to what is meant
    return array


@whole
def permutation(n: int, generator: Generator | None) -> Any:
    """The numbers below ``n`` in random order, inside of vmaps one order for every example."""
    g = stream(generator)
    (seed, offset), (_, more) = g.take(n), g.take(n)
    draws = backends.elementwise(draws62, (seed, offset, more), backends.empty((n,), INT64))
    return backends.cpu.shuffle(draws) if type(draws) is np.ndarray else np.argsort(draws, -1)


def check_integers(op: str, low: int, high: int, dtype: Any) -> None:
    """Refuse a range [low, high) that is empty, or that the type cannot hold."""
    if low >= high:
        raise ArgumentError(f"{op}: random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    limit = 1 if dtype.code == BOOL else LIMITS[dtype.code]
    least = 0 if not dtype.is_signed else -limit - (not dtype.is_floating_point)
    if not (max(least, -(2**63)) <= low and high - 1 <= min(limit, 2**63 - 1)):
        raise NumberError(f"{op}: the range from {low} to {high - 1} is out of bounds for {dtype.name}")


def probability(op: str, p: Any, shape: tuple) -> Any:
    """A probability, or an array of them that broadcasts to ``shape``."""
    chance = p.array if isinstance(p, Tensor) else element(op, p, FLOAT)
    if isinstance(p, Tensor) and any(n not in (1, m) for n, m in zip(chance.shape[::-1], (*shape[::-1], *(1,) * chance.ndim))):
        raise ShapeError(f"{op}: p of shape {tuple(p.shape)} does not broadcast to {tuple(shape)}")
    if not backends.unseen(chance) and not np.all((chance >= 0) & (chance <= 1)):
        raise ArgumentError(f"{op}: bernoulli_ expects p to be in [0, 1], but got p={p}")
    return chance


# Dropout: the mask is a function of (seed, offset, position), so the derivative computes it again.


@elementwise(grad_name="MulBackward0", raw=("seed", "offset", "limit"), smooth=True)
def dropout_of(x, limit, scale, seed, offset):
    "x * scale where the random bits are at least limit, else 0"
    return s.where(s.ge(s.random(seed, offset), limit), x * scale, 0)


@dropout_of.partial
def dropout_partial(y, x, limit, scale, seed, offset):
    return s.where(s.ge(s.random(seed, offset), limit), scale, 0), None, None, None, None


def drop_chance(op: str, p: Any) -> float:
    """The probability of a dropout, from a number or from a tensor of one element."""
    if isinstance(p, Tensor) and p.requires_grad:
        raise DTypeError(f"{op}: the probability p is a number and gets no gradient; pass p.detach()")
    chance = p if isinstance(p, int | float) else element(op, p, FLOAT)
    if not 0 <= chance <= 1:
        raise ArgumentError(f"{op}: dropout probability has to be between 0 and 1, but got {chance}")
    return chance


@whole
def dropped(input: Tensor, p: float, generator: Generator) -> Tensor:
    seed, offset = (x if isinstance(x, int) else wrap(x) for x in generator.take(input.array.size, input.array))
    return dropout_of(input, builtin_round(p * 2**32), 1 / (1 - p), seed, offset)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element 0 with probability ``p``, the others divided by ``1 - p``, while training; Srivastava et al. 2014.

    >>> gf.dropout(gf.ones(3), 0.5, False)
    tensor([1., 1., 1.])
    """
    if not isinstance(input, Tensor):
        raise DTypeError(f"dropout: argument 'input' must be Tensor, not {type(input).__name__}")
    p = drop_chance("dropout", p)
    if not flag("dropout", "training", training) or p == 0:
        return input
    if inplace:
        change_in_place(input, "dropout")
    if p == 1:
        result = input * 0.0
    else:
        if running.stack:  # examples that share the input do not share what is dropped
            input = input + wrap(backends.zeros((), input.dtype.code, input.array))
        result = dropped(input, p, default_generator)
    if inplace:
        from .inplace import become

        return become(input, result, "dropout")
    return result


# In place


def uniform_(self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None, **torch_names: float) -> Tensor:
    """Uniform in [from, to), in place.

    >>> x = gf.empty(3).uniform_(2, 3)
    >>> bool((x >= 2).all() and (x <= 3).all())
    True
    """
    low, high = (element("uniform_", v, FLOAT) for v in (torch_names.get("from", from_), to))
    floating("uniform_", self)
    if not low <= high:
        raise ArgumentError(f"uniform_: expects to return a [from, to) range, but found from={low} > to={high}")
    return redrawn(self, "uniform_", lambda a: fill_uniform(a, float(low), float(high), generator))


def normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Normal with ``mean`` and ``std``, in place.

    >>> gf.empty(3).normal_(2.0, 0.0)
    tensor([2., 2., 2.])
    """
    floating("normal_", self)
    mean, std = element("normal_", mean, FLOAT), element("normal_", std, FLOAT)
    if std < 0:
        raise ArgumentError(f"normal_: expects std >= 0.0, but found std {std}")
    return redrawn(self, "normal_", lambda a: fill_normal(a, float(mean), float(std), generator))


def random_(self: Tensor, from_: int | None = None, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Integers in [from, to), in place; ``random_(to)`` starts at 0.

    >>> gf.empty(3).random_(5, 6)
    tensor([5., 5., 5.])
    """
    if from_ is None:
        most = {2: 2**11, 4: 2**24, 8: 2**53}[self.array.itemsize] if self.array.dtype.kind == "f" else 2**8  # whole numbers, exactly
        low, high = 0, most + 1 if self.dtype.is_floating_point else 2 if self.array.dtype.kind == "b" else LIMITS[self.dtype.code] + 1
    else:
        low, high = (0, from_) if to is None else (from_, to)
        low, high = integer("random_", "from", low), integer("random_", "to", high)
    check_integers("random_", low, high, self.dtype)
    return redrawn(self, "random_", lambda a: fill_integers(a, low, high, generator))


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p``, else 0, in place.

    >>> gf.empty(3).bernoulli_(1.0)
    tensor([1., 1., 1.])
    """
    chance = probability("bernoulli_", p, self.array.shape)

    def draw(array: Any) -> None:
        array[...] = fill_uniform(backends.empty(array.shape, FLOAT64, array), 0.0, 1.0, generator) < chance

    return redrawn(self, "bernoulli_", draw)


def floating(op: str, t: Tensor) -> None:
    if not t.dtype.is_floating_point:
        raise DTypeError(f"{op}: expected a floating point tensor, not {t.dtype}")


def redrawn(t: Tensor, op: str, draw: Callable[[Any], Any]) -> Tensor:
    """``t``, whose array ``draw`` has filled; its history changes only after that."""
    recorded = change_in_place(t, op)
    draw(t.array)
    if recorded:
        overwrite(t, None, (), None, Overwrite(camel(op[:-1]) + "Backward0"))
    return note(t)


builtin_round = round
