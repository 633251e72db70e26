"""Losses as modules: each is its function of `nn.functional` with the arguments kept."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .loss_functions import reduction_named
from .module import Module


class Loss(Module):
    """A loss with a reduction: "mean", "sum", or "none" for the loss of each element.

    size_average and reduce are PyTorch's old way to say so.
    """

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction_named(reduction, size_average, reduce)


class WeightedLoss(Loss):
    """A loss with a tensor of weights, kept as a buffer."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class MSELoss(Loss):
    """(input - target)^2.

    >>> gf.nn.MSELoss()(gf.tensor([1.0, 2.0]), gf.tensor([2.0, 4.0]))
    tensor(2.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """abs(input - target).

    >>> gf.nn.L1Loss()(gf.tensor([1.0, 2.0]), gf.tensor([2.0, 4.0]))
    tensor(1.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) where abs(d) < beta, else abs(d) - beta / 2, for d = input - target.

    >>> gf.nn.SmoothL1Loss()(gf.tensor([0.0, 0.0]), gf.tensor([0.5, 3.0]))
    tensor(1.3125)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """d^2 / 2 where abs(d) <= delta, else delta * (abs(d) - delta / 2), for d = input - target.

    >>> gf.nn.HuberLoss()(gf.tensor([0.0, 0.0]), gf.tensor([0.5, 3.0]))
    tensor(1.3125)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class CrossEntropyLoss(WeightedLoss):
    """-log(softmax(input)[target]) over the classes on axis 1; targets are class numbers or class probabilities.

    >>> import gradflow as gf
    >>> gf.nn.CrossEntropyLoss()(gf.zeros(2, 4), gf.tensor([0, 3]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(WeightedLoss):
    """-input[target] over the classes on axis 1; inputs are log-probabilities.

    >>> gf.nn.NLLLoss()(gf.tensor([[0.1, 0.9]]).log(), gf.tensor([1]))
    tensor(0.1054)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(WeightedLoss):
    """-(target * log(input) + (1 - target) * log(1 - input)); the logs are not below -100.

    >>> gf.nn.BCELoss()(gf.tensor([0.5, 0.9]), gf.tensor([1.0, 1.0]))
    tensor(0.3993)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """BCELoss of sigmoid(input), finite for every finite input; pos_weight multiplies the positive term.

    >>> gf.nn.BCEWithLogitsLoss()(gf.tensor([0.0, 100.0]), gf.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction)


class KLDivLoss(Loss):
    """target * (log(target) - input); inputs are log-probabilities. reduction may also be "batchmean".

    >>> gf.nn.KLDivLoss(reduction="sum")(gf.tensor([0.9, 0.1]).log(), gf.tensor([0.5, 0.5]))
    tensor(0.5108)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class CosineSimilarity(Module):
    """x1 . x2 / (|x1| |x2|) along dim.

    >>> gf.nn.CosineSimilarity()(gf.tensor([[1.0, 0.0]]), gf.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
