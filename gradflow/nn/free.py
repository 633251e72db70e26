"""Functions of networks that are also functions of the package: ``torch.dropout``, ``torch.cosine_embedding_loss``, ``torch.selu_``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError, DTypeError
from ..ops.distributions import feature_dropout
from ..tensor import Tensor
from . import functional as F

REDUCTIONS = ("none", "mean", "sum")


def numbered(name: str, function: Callable, *names: str) -> Callable:
    """A loss whose reduction is a number: 0 for none, which it is unless given, as in torch; 1 for mean, 2 for sum."""

    def call(*args: Any, **kwargs: Any) -> Tensor:
        given = dict(zip(names, args, strict=False)) | kwargs
        if len(given) < len(args) + len(kwargs) or not given.keys() <= {*names}:
            raise DTypeError(f"{name}: an argument is unknown or given twice; it takes {', '.join(names)}")
        reduction = given.get("reduction", 0)
        if not isinstance(reduction, int):
            raise DTypeError(f"{name}: argument 'reduction' must be int, not {type(reduction).__name__}; 0 is none, 1 mean, 2 sum")
        if not 0 <= reduction < 3:
            raise ArgumentError(f"{name}: reduction must be 0, 1 or 2, not {reduction}")
        return function(**given | {"reduction": REDUCTIONS[reduction]})

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""``nn.functional.{name}`` with a number for ``reduction``: 0, which it is unless given, for none, 1 for mean, 2 for sum.

    {function.__doc__}"""
    return call


LOSSES = {
    "cosine_embedding_loss": "input1 input2 target margin reduction",
    "hinge_embedding_loss": "input target margin reduction",
    "margin_ranking_loss": "input1 input2 target margin reduction",
    "poisson_nll_loss": "input target log_input full eps reduction",
    "triplet_margin_loss": "anchor positive negative margin p eps swap reduction",
    "kl_div": "input target reduction log_target",
    "binary_cross_entropy_with_logits": "input target weight pos_weight reduction",
    "ctc_loss": "log_probs targets input_lengths target_lengths blank reduction zero_infinity",
}
PLAIN = """bilinear celu cosine_similarity hardshrink layer_norm pairwise_distance pdist pixel_shuffle pixel_unshuffle channel_shuffle
    rms_norm rrelu selu threshold conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    group_norm max_pool1d max_pool2d max_pool3d avg_pool1d adaptive_avg_pool1d"""


def in_place(function: Callable, name: str) -> Callable:
    """``function`` with ``inplace=True``."""

    def call(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, inplace=True, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``{name[:-1]}`` in place; returns the tensor.\n\n    {function.__doc__}"
    return call


IN_PLACE: dict[str, Callable] = {
    f"{name}_": in_place(getattr(F, name), f"{name}_")
    for name in "alpha_dropout celu dropout elu feature_alpha_dropout hardtanh leaky_relu relu rrelu selu threshold".split()
}


def feature_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """``feature_dropout`` in place; returns the tensor.

    >>> gf.feature_dropout_(gf.ones(1, 2, 3), 0.0, True).shape
    torch.Size([1, 2, 3])
    """
    return input.copy_(feature_dropout(input.clone(), p, train))


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """``nn.functional.embedding`` with its operands in torch's inner order; padding_idx -1 is none.

    >>> gf.embedding(gf.tensor([[0.0, 1.0], [2.0, 3.0]]), gf.tensor([1, 0]))
    tensor([[2., 3.],
            [0., 1.]])
    """
    return F.embedding(indices, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)


def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """``nn.functional.adaptive_max_pool1d``, with the places of what was taken.

    >>> gf.adaptive_max_pool1d(gf.tensor([[1.0, 2.0, 4.0, 3.0]]), 2)
    (tensor([[2., 4.]]), tensor([[1, 2]]))
    """
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``nn.functional.dropout`` with its arguments in torch's inner form.

    >>> gf.dropout(gf.ones(3), p=0.5, train=False)
    tensor([1., 1., 1.])
    """
    return F.dropout(input, p, train)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``nn.functional.alpha_dropout`` with its arguments in torch's inner form.

    >>> gf.alpha_dropout(gf.ones(3), p=0.5, train=False)
    tensor([1., 1., 1.])
    """
    return F.alpha_dropout(input, p, train)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``nn.functional.feature_alpha_dropout`` with its arguments in torch's inner form.

    >>> gf.feature_alpha_dropout(gf.ones(1, 2), p=0.5, train=False)
    tensor([[1., 1.]])
    """
    return F.feature_alpha_dropout(input, p, train)


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """``nn.functional.batch_norm`` with its arguments in torch's inner order; the last one changes nothing.

    >>> gf.batch_norm(gf.tensor([[0.0], [2.0]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """``nn.functional.instance_norm`` with its arguments in torch's inner order; the last one changes nothing.

    >>> gf.instance_norm(gf.tensor([[[0.0, 2.0]]]), None, None, None, None, True, 0.1, 0.0, False)
    tensor([[[-1.,  1.]]])
    """
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


INNER = (adaptive_max_pool1d, alpha_dropout, batch_norm, dropout, embedding, feature_alpha_dropout, feature_dropout_, instance_norm)
FUNCTIONS: dict[str, Callable] = {name: numbered(name, getattr(F, name), *names.split()) for name, names in LOSSES.items()}
FUNCTIONS |= {name: getattr(F, name) for name in PLAIN.split()} | {f.__name__: f for f in INNER}
FUNCTIONS |= {name: call for name, call in IN_PLACE.items() if name not in ("elu_", "hardtanh_", "leaky_relu_")}
for _name in ("celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"):
    setattr(F, _name, IN_PLACE[_name])
F.native_channel_shuffle = FUNCTIONS["native_channel_shuffle"] = F.channel_shuffle  # type: ignore[attr-defined]
