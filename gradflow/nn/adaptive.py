"""The softmax over very many classes, most of them rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradflow as gf

from ..errors import ArgumentError, OutOfRangeError, ShapeError
from ..tensor import Tensor
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module


class ASMoutput(NamedTuple):
    """What AdaptiveLogSoftmaxWithLoss gives: the log-probability of each target, and the mean of their negatives."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """log_softmax over n_classes in two steps: the frequent classes and clusters of rare ones, then within a cluster.

    Classes must be sorted by frequency; cutoffs are where clusters begin. Cluster i is computed from in_features /
    div_value^(i + 1) features. input is (N, in_features) or (in_features), target (N) or (); Grave et al., 2017.

    >>> layer = gf.nn.AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs=[5, 10])
    >>> gf.allclose(layer.log_prob(gf.randn(3, 16)).exp().sum(1), gf.ones(3))
    True
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        cuts = list(cutoffs)
        if not cuts:
            raise ArgumentError("AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of length larger than 0")
        if cuts != sorted(set(cuts)) or min(cuts) <= 0 or max(cuts) > n_classes - 1 or any(int(c) != c for c in cuts):
            raise ArgumentError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of unique, positive integers sorted in an increasing order, "
                f"where each value is between 1 and n_classes-1; they are {cuts}"
            )
        options = {"device": device, "dtype": dtype}
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cuts, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = cuts[0]
        self.n_clusters = len(cuts)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(Sequential(Linear(in_features, inner, bias=False, **options), Linear(inner, size, bias=False, **options)))

    def reset_parameters(self) -> None:
        """Fill the weights anew."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> ASMoutput:
        batched = target.ndim > 0
        if target.ndim > 1 or input.ndim != target.ndim + 1 or (batched and input.shape[0] != target.shape[0]):
            raise ShapeError(
                "AdaptiveLogSoftmaxWithLoss: 0D or 1D target tensor expected, and as many inputs; "
                f"input is {tuple(input.shape)}, target {tuple(target.shape)}"
            )
        x, y = (input, target) if batched else (input.unsqueeze(0), target.unsqueeze(0))
        if y.numel() and not (y.min() >= 0 and y.max() < self.n_classes):
            raise OutOfRangeError(
                f"AdaptiveLogSoftmaxWithLoss: Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{y.min().item()}, {y.max().item()}] were found."
            )
        head = self.head(x).log_softmax(1)
        shortlist = y < self.shortlist_size
        chosen, output = gf.where(shortlist, y, 0), None
        for i, cluster in enumerate(self.tail):
            inside = (y >= self.cutoffs[i]) & (y < self.cutoffs[i + 1])
            chosen = gf.where(inside, self.shortlist_size + i, chosen)
            rows = inside.nonzero().squeeze(1)
            if rows.numel():
                within = cluster(x.index_select(0, rows)).log_softmax(1).gather(1, (y[rows] - self.cutoffs[i]).unsqueeze(1)).squeeze(1)
                part = gf.zeros_like(head[:, 0]).index_add(0, rows, within)
                output = part if output is None else output + part
        result = head.gather(1, chosen.unsqueeze(1)).squeeze(1)
        result = result if output is None else result + output
        return ASMoutput(result if batched else result.squeeze(0), (-result).mean())

    def _full(self, x: Tensor, head: Tensor) -> Tensor:
        first = head.log_softmax(1)
        parts = [first[:, : self.shortlist_size]]
        parts += [cluster(x).log_softmax(1) + first[:, self.shortlist_size + i].unsqueeze(1) for i, cluster in enumerate(self.tail)]
        return gf.cat(parts, 1)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes, (N, n_classes)."""
        return self._full(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each input."""
        return self.log_prob(input).argmax(1)
