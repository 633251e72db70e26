"""Recurrent networks: cells, and layers of them over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, ShapeError
from ..ops.recurrent import lstm_of
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

State = tuple[Tensor, ...]

# A step from the input's part of the gates, the state's part and the state to the next state.


def tanh_step(x: Tensor, h: Tensor, state: State) -> State:
    return ((x + h).tanh(),)


def relu_step(x: Tensor, h: Tensor, state: State) -> State:
    return ((x + h).relu(),)


def lstm_step(x: Tensor, h: Tensor, state: State) -> State:
    i, f, g, o = (x + h).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, h: Tensor, state: State) -> State:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
    n = (xn + (xr + hr).sigmoid() * hn).tanh()
    return (n + (xz + hz).sigmoid() * (state[0] - n),)


# kind: (the step, gates, states)
KINDS: dict[str, tuple[Callable[[Tensor, Tensor, State], State], int, int]] = {
    "RNN_TANH": (tanh_step, 1, 1),
    "RNN_RELU": (relu_step, 1, 1),
    "LSTM": (lstm_step, 4, 2),
    "GRU": (gru_step, 3, 1),
}


def joined(parts: list[State]) -> State:
    return parts[0] if len(parts) == 1 else tuple(gf.cat(list(p)) for p in zip(*parts, strict=True))


def over_time(steps: list[Tensor], state: State, step: Callable[[Tensor, State], State], reverse: bool) -> tuple[list[Tensor], State]:
    """(the outputs, the last state). Later steps may have fewer rows: the sequences that have ended are the last rows."""
    outputs: list[Tensor] = []
    if not reverse:
        ended: list[State] = []
        for x in steps:
            n = x.shape[0]
            if n < state[0].shape[0]:
                ended.append(tuple(s[n:] for s in state))
                state = tuple(s[:n] for s in state)
            state = step(x, state)
            outputs.append(state[0])
        return outputs, joined([state, *reversed(ended)])
    first = state
    for k, x in enumerate(reversed(steps)):
        n, have = x.shape[0], state[0].shape[0] if k else 0
        if k == 0:
            state = tuple(s[:n] for s in first)
        elif n > have:
            state = joined([state, tuple(s[have:n] for s in first)])
        state = step(x, state)
        outputs.append(state[0])
    return outputs[::-1], state


class RNNBase(Module):
    """num_layers recurrent layers over (L, N, input_size), or (N, L, input_size) with ``batch_first``; N may be missing.

    weight_ih_l{k} (gates hidden_size, input), weight_hh_l{k}, bias_ih_l{k} and bias_hh_l{k} start from U(-k, k), k = 1 / sqrt(hidden_size);
    those of the other direction end in _reverse.

    >>> [name for name, _ in gf.nn.RNNBase("LSTM", 3, 5).named_parameters()]
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if not isinstance(hidden_size, int):
            raise TypeError(f"{name}: hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0 or num_layers <= 0:
            raise ArgumentError(f"{name}: hidden_size and num_layers must be greater than zero; they are {hidden_size} and {num_layers}")
        if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ArgumentError(
                f"{name}: dropout should be a number in range [0, 1] representing the probability of an element being zeroed; it is {dropout}"
            )
        if proj_size and (mode != "LSTM" or not 0 < proj_size < hidden_size):
            raise ArgumentError(f"{name}: proj_size is for LSTM and has to be positive and smaller than hidden_size; it is {proj_size}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates, out = KINDS[mode][1] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (gates, input_size if not layer else out * (1 + bidirectional)),
                    "weight_hh": (gates, out),
                }
                shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                for what, shape in shapes.items():
                    setattr(self, what + suffix, Parameter(gf.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: 1 + self.bidirectional]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights, a list for each layer and direction."""
        names = "weight_ih weight_hh bias_ih bias_hh weight_hr".split()
        places = [suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer)]
        return [[getattr(self, name + place) for name in names if hasattr(self, name + place)] for place in places]

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: there is no other memory that they could be in."""

    def _state(self, hx: Any, batch: int, like: Tensor) -> State:
        """The states (layers and directions, N, size) to start from."""
        rows, out = self.num_layers * (1 + self.bidirectional), self.proj_size or self.hidden_size
        sizes = (out, self.hidden_size)[: KINDS[self.mode][2]]
        if hx is None:
            return tuple(gf.zeros(rows, batch, n, dtype=like.dtype, device=like.device) for n in sizes)
        for state, n in zip(hx, sizes, strict=True):
            if state.shape != (rows, batch, n):
                raise ShapeError(f"{type(self).__name__}: Expected hidden size ({rows}, {batch}, {n}), got {list(state.shape)}")
        return tuple(hx)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(outputs of the last layer at all times, the states at the end); ``hx`` are the states to start from, zeros unless given."""
        name, packed = type(self).__name__, isinstance(input, PackedSequence)
        data: Tensor = input.data if packed else input
        if not packed and data.ndim not in (2, 3):
            raise ArgumentError(f"{name}: Expected input to be 2D or 3D, got {data.ndim}D instead")
        if data.shape[-1] != self.input_size:
            raise ShapeError(f"{name}: input.size(-1) must be equal to input_size. Expected {self.input_size}, got {data.shape[-1]}")
        single = not packed and data.ndim == 2
        states = None if hx is None else hx if self.mode == "LSTM" else (hx,)
        if single:
            data = data.unsqueeze(1)
            states = None if states is None else tuple(s.unsqueeze(1) for s in states)
        elif self.batch_first and not packed:
            data = data.transpose(0, 1)
        counts = input.batch_sizes.tolist() if packed else None
        batch = counts[0] if counts else data.shape[1]
        if packed and states is not None and input.sorted_indices is not None:
            states = tuple(s.index_select(1, input.sorted_indices) for s in states)
        if not packed and not data.shape[0]:
            raise ShapeError(f"{name}: Expected sequence length to be larger than 0 in RNN")
        y, last = self._layers(data, self._state(states, batch, data), counts)
        if packed:
            y = input._replace(data=y)
            if input.unsorted_indices is not None:
                last = tuple(s.index_select(1, input.unsorted_indices) for s in last)
        elif single:
            y, last = y.squeeze(1), tuple(s.squeeze(1) for s in last)
        elif self.batch_first:
            y = y.transpose(0, 1)
        return y, last if self.mode == "LSTM" else last[0]

    def _layers(self, data: Tensor, states: State, counts: list[int] | None) -> tuple[Tensor, State]:
        update = KINDS[self.mode][0]
        ends: list[State] = []
        for layer in range(self.num_layers):
            sides = []
            for side, suffix in enumerate(self._suffixes(layer)):
                hidden: Tensor = getattr(self, "weight_hh" + suffix)
                b_hh, project = (getattr(self, what + suffix, None) for what in ("bias_hh", "weight_hr"))
                projected = F.linear(data, getattr(self, "weight_ih" + suffix), getattr(self, "bias_ih" + suffix, None))
                first = tuple(s[layer * (1 + self.bidirectional) + side] for s in states)
                if self.mode == "LSTM" and counts is None and project is None and {t.dtype for t in (projected, *first)} == {hidden.dtype}:
                    projected = projected if b_hh is None else projected + b_hh
                    hs, cs = lstm_of(projected, hidden, *first, bool(side))
                    sides.append(hs)
                    ends.append((hs[side - 1], cs[side - 1]))
                    continue

                def step(x: Tensor, state: State, w: Any = hidden, b: Any = b_hh, p: Any = project) -> State:
                    h, *rest = update(x, F.linear(state[0], w, b), state)
                    return (h if p is None else F.linear(h, p), *rest)

                steps = list(projected.split(counts) if counts else projected.unbind(0))
                outputs, end = over_time(steps, first, step, bool(side))
                sides.append(gf.cat(outputs) if counts else gf.stack(outputs))
                ends.append(end)
            data = sides[0] if len(sides) == 1 else gf.cat(sides, -1)
            if self.dropout and layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout, self.training)
        return data, tuple(gf.stack(list(s)) for s in zip(*ends, strict=True))

    def extra_repr(self) -> str:
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        other = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *other])


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu; see :class:`RNNBase`.

    >>> import gradflow as gf
    >>> y, h = gf.nn.RNN(3, 5, num_layers=2)(gf.ones(7, 4, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", *args: Any, **kwargs: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory; the states are (h, c), h of ``proj_size`` if given. Hochreiter and Schmidhuber 1997.

    >>> import gradflow as gf
    >>> y, (h, c) = gf.nn.LSTM(3, 5, batch_first=True)(gf.ones(4, 7, 3))
    >>> y.shape, c.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent units; Cho et al. 2014.

    >>> y, h = gf.nn.GRU(3, 5)(gf.ones(7, 4, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([1, 4, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ArgumentError("GRU: proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class Cell(Module):
    """One step for (N, input_size) or (input_size)."""

    mode = "RNN_TANH"
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = KINDS[self.mode][1] * hidden_size
        self.weight_ih = Parameter(gf.empty(gates, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(gf.empty(gates, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(gf.empty(gates, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        step, _, states = KINDS[self.mode]
        if input.ndim not in (1, 2):
            raise ArgumentError(f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise ShapeError(f"{type(self).__name__}: input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}")
        if hx is None:
            state: State = (gf.zeros(*input.shape[:-1], self.hidden_size, dtype=input.dtype, device=input.device),) * states
        else:
            state = tuple(hx) if states == 2 else (hx,)
        if any(s.shape != (*input.shape[:-1], self.hidden_size) for s in state):
            raise ShapeError(
                f"{type(self).__name__}: the hidden state must have the shape {(*input.shape[:-1], self.hidden_size)}, got {[tuple(s.shape) for s in state]}"
            )
        new = step(F.linear(input, self.weight_ih, self.bias_ih), F.linear(state[0], self.weight_hh, self.bias_hh), state)
        return new if states == 2 else new[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else f", bias={self.bias}")


class RNNCell(Cell):
    """One step of :class:`RNN`.

    >>> gf.nn.RNNCell(3, 5)(gf.ones(4, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None, dtype: Any = None
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ShapeError(f"RNNCell: Unknown nonlinearity: {nonlinearity}; use 'tanh' or 'relu'")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity
        self.mode = f"RNN_{nonlinearity.upper()}"

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(Cell):
    """One step of :class:`LSTM`: gives (h, c).

    >>> h, c = gf.nn.LSTMCell(3, 5)(gf.ones(4, 3))
    >>> h.shape, c.shape
    (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    mode = "LSTM"


class GRUCell(Cell):
    """One step of :class:`GRU`.

    >>> gf.nn.GRUCell(3, 5)(gf.ones(4, 3)).shape
    torch.Size([4, 5])
    """

    mode = "GRU"
