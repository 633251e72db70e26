"""Attention: softmax(q k' / sqrt(d)) v, alone and with several heads."""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Iterator
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, DTypeError, ShapeError
from ..ops.logic import somewhere
from ..ops.random import dropout
from ..tensor import Tensor


def added_mask(op: str, mask: Tensor, dtype: Any, keep: bool) -> Tensor:
    """A mask to add: a bool one says what to keep, or what to leave out."""
    if mask.dtype is gf.bool:
        return gf.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask if keep else mask, -math.inf)
    if not mask.dtype.is_floating_point:
        raise DTypeError(f"{op}: a mask must be of bool or of a floating point type, not {mask.dtype}; convert with .bool()")
    return mask.to(dtype)


def weights_of(scores: Tensor, mask: Tensor | None, alive: bool = False) -> Tensor:
    """The softmax of the masked scores; 0 in rows where all is masked. ``alive``: the mask leaves something of each row."""
    if mask is None:
        return scores.softmax(-1)
    scores = scores + mask
    if alive and scores.is_cuda:
        return scores.softmax(-1)
    dead = scores.detach().eq(-math.inf).all(-1, keepdim=True)
    if not scores.is_cuda and not somewhere(dead):  # a device is not waited for
        return scores.softmax(-1)
    return scores.masked_fill(dead, 0.0).softmax(-1).masked_fill(dead, 0.0)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.mT * scale + attn_mask) @ value: (..., L, E), (..., S, E), (..., S, Ev) give (..., L, Ev).

    ``scale`` is 1 / sqrt(E) unless given. A bool ``attn_mask`` says what takes part; ``is_causal`` hides what comes later. With
    ``enable_gqa`` heads of key and value (axis -3) serve several of query's. Vaswani et al. 2017.

    >>> q = gf.ones(2, 3, 4)
    >>> gf.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True).shape
    torch.Size([2, 3, 4])
    """
    op = "scaled_dot_product_attention"
    for name, x in (("query", query), ("key", key), ("value", value), ("attn_mask", attn_mask)):
        if not isinstance(x, Tensor) and (x is not None or name != "attn_mask"):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    if not query.dtype is key.dtype is value.dtype:
        raise DTypeError(
            f"{op}: Expected query, key, and value to have the same dtype, but got {query.dtype}, {key.dtype} and {value.dtype}"
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(
            f"{op}: Expected query, key, and value to all be at least 2 dimensional, but got {query.ndim}, {key.ndim} and {value.ndim}"
        )
    if is_causal and attn_mask is not None:
        raise ArgumentError(f"{op}: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        heads = query.shape[-3]
        if any(not x.shape[-3] or heads % x.shape[-3] for x in (key, value)):
            raise ShapeError(
                f"{op}: enable_gqa: the number of heads of query ({heads}) must be a multiple of key's ({key.shape[-3]}) and value's ({value.shape[-3]})"
            )
        key, value = (x.repeat_interleave(heads // x.shape[-3], -3) for x in (key, value))
    if is_causal:
        attn_mask = gf.ones(query.shape[-2], key.shape[-2], dtype=gf.bool, device=query.device).tril()
    mask = None if attn_mask is None else added_mask(op, attn_mask, query.dtype, True)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None and query.shape[-1] else 1.0 if scale is None else scale
    weights = weights_of((query * factor) @ key.transpose(-2, -1), mask, is_causal)
    if dropout_p:
        weights = dropout(weights, dropout_p, True)
    return weights @ value


def projections(query: Tensor, key: Tensor, value: Tensor, weights: list[Any], bias: Tensor | None) -> list[Tensor]:
    """Query, key and value by their matrices: three, or one that holds the three."""
    if len(weights) == 1:
        if query is key is value:
            return list(gf.nn.functional.linear(query, weights[0], bias).chunk(3, -1))
        weights = list(weights[0].chunk(3))
    biases = [None] * 3 if bias is None else bias.chunk(3)
    return [gf.nn.functional.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """(attention of several heads, its weights): the work of ``nn.MultiheadAttention``; (L, N, E), or (L, E) without a batch.

    >>> x, w = gf.ones(3, 1, 4), gf.zeros(12, 4)
    >>> y, weights = gf.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, w, gf.zeros(12), None, None, False, 0.0, gf.eye(4), gf.zeros(4)
    ... )
    >>> y.shape, weights.shape
    (torch.Size([3, 1, 4]), torch.Size([1, 3, 3]))
    """
    op = "multi_head_attention_forward"
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise ArgumentError(
            f"{op}: query should be unbatched 2D or batched 3D tensor, and key and value like it, but got {query.ndim}D, {key.ndim}D and {value.ndim}D"
        )
    if query.shape[-1] != embed_dim_to_check or embed_dim_to_check % num_heads:
        raise ArgumentError(
            f"{op}: was expecting embedding dimension of {embed_dim_to_check}, a multiple of {num_heads} heads, but got {query.shape[-1]}"
        )
    if key.shape[:-1] != value.shape[:-1]:
        raise ArgumentError(f"{op}: key's sequence and batch dims {tuple(key.shape[:-1])} do not match value's {tuple(value.shape[:-1])}")
    if is_causal and attn_mask is None:
        raise ShapeError(f"{op}: Need attn_mask if specifying the is_causal hint.")
    single = query.ndim == 2
    matrices = [q_proj_weight, k_proj_weight, v_proj_weight] if use_separate_proj_weight else [in_proj_weight]
    q, k, v = projections(query, key, value, matrices, in_proj_bias)
    if single:
        q, k, v = (x.unsqueeze(1) for x in (q, k, v))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, _ = q.shape
    if bias_k is not None and bias_v is not None:
        k, v = (gf.cat([x, b.expand(1, batch, x.shape[2])]) for x, b in ((k, bias_k), (v, bias_v)))
    q, k, v = (x.reshape(x.shape[0], batch, num_heads, -1).permute(1, 2, 0, 3) for x in (q, k, v))
    k, v = (x if s is None else s.reshape(batch, num_heads, *s.shape[1:]) for x, s in ((k, static_k), (v, static_v)))
    if add_zero_attn:
        k, v = (gf.cat([x, gf.zeros(batch, num_heads, 1, x.shape[3], dtype=x.dtype, device=x.device)], 2) for x in (k, v))
    mask = joined_mask(op, attn_mask, key_padding_mask, q, k.shape[2], num_heads)
    scores = (q / math.sqrt(q.shape[3])) @ k.transpose(-2, -1)
    if need_weights and mask is not None:  # nan in rows where all is masked, as in torch
        weights = (scores + mask).softmax(-1)
    else:
        weights = weights_of(scores, mask)
    if training and dropout_p:
        weights = dropout(weights, dropout_p, True)
    y = (weights @ v).permute(2, 0, 1, 3).reshape(length, batch, embed_dim_to_check)
    y = gf.nn.functional.linear(y, out_proj_weight, out_proj_bias)
    if average_attn_weights:
        weights = weights.mean(1)
    if single:
        y, weights = y.squeeze(1), weights.squeeze(0)
    return y, weights if need_weights else None


def joined_mask(op: str, attn_mask: Tensor | None, padding: Tensor | None, q: Tensor, keys: int, heads: int) -> Tensor | None:
    """Both masks, to be added to (N, heads, L, S); keys that were added at the end are not masked."""
    batch, length = q.shape[0], q.shape[2]
    total: Tensor | None = None
    if attn_mask is not None:
        total = added_mask(op, attn_mask, q.dtype, False)
        if total.ndim not in (2, 3) or (total.ndim == 3 and total.shape[0] != batch * heads) or total.shape[-2] != length:
            raise ShapeError(
                f"{op}: The shape of the attn_mask is {tuple(attn_mask.shape)}, but should be ({length}, {keys}) or ({batch * heads}, {length}, {keys})"
            )
        total = total.reshape(batch, heads, length, -1) if total.ndim == 3 else total
        total = gf.nn.functional.pad(total, (0, keys - total.shape[-1]))
    if padding is not None:
        if padding.ndim != 2 or padding.shape[0] != batch:
            raise ShapeError(f"{op}: expecting key_padding_mask shape of ({batch}, {keys}), but got {tuple(padding.shape)}")
        extra = added_mask(op, padding, q.dtype, False)
        extra = gf.nn.functional.pad(extra, (0, keys - extra.shape[1])).reshape(batch, 1, 1, keys)
        total = extra if total is None else total + extra
    return total


class SDPBackend(enum.IntEnum):
    """PyTorch's kernels for attention, for `sdpa_kernel`; here there is one."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[dict]:
    """Within it attention is computed as ever: the choice of a kernel changes nothing.

    >>> with gf.nn.attention.sdpa_kernel(gf.nn.attention.SDPBackend.MATH):
    ...     y = gf.nn.functional.scaled_dot_product_attention(*gf.ones(3, 1, 2, 4))
    """
    for backend in backends if isinstance(backends, list) else [backends]:
        if not isinstance(backend, SDPBackend):
            raise DTypeError(f"sdpa_kernel: expected SDPBackends, not {type(backend).__name__}")
    yield {}
