"""A table of vectors looked up by integers."""

from __future__ import annotations

from typing import Any

import gradflow as gf

from ..autograd import no_grad
from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Embedding(Module):
    """From integers of any shape (...) to vectors (..., embedding_dim): the rows of `weight`, drawn from N(0, 1).

    The row padding_idx starts at zero and gets no gradient.

    >>> import gradflow as gf
    >>> gf.nn.Embedding(10, 3)(gf.tensor([[1, 2], [4, 5]])).shape
    torch.Size([2, 2, 3])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise NotImplementedError("Embedding: there are no sparse gradients; leave sparse out")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ArgumentError(
                    f"Embedding: Padding_idx must be within num_embeddings; got {padding_idx}, num_embeddings is {num_embeddings}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, scale_grad_by_freq, sparse
        if _weight is None:
            self.weight = Parameter(gf.empty((num_embeddings, embedding_dim), device=device, dtype=dtype), not _freeze)
            self.reset_parameters()
        elif tuple(_weight.shape) != (num_embeddings, embedding_dim):
            raise ArgumentError(
                "Embedding: Shape of weight does not match num_embeddings and embedding_dim; "
                f"got {tuple(_weight.shape)}, need {(num_embeddings, embedding_dim)}"
            )
        else:
            self.weight = Parameter(_weight, not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        settings: dict[str, tuple[Any, Any]] = {
            "padding_idx": (self.padding_idx, None),
            "max_norm": (self.max_norm, None),
            "norm_type": (self.norm_type, 2),
        }
        settings |= {"scale_grad_by_freq": (self.scale_grad_by_freq, False)}
        said = "".join(f", {name}={value!r}" for name, (value, usual) in settings.items() if value != usual)
        return f"{self.num_embeddings}, {self.embedding_dim}{said}"

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, **options: Any) -> Embedding:
        """An embedding with a given table (num_embeddings, embedding_dim), by default one that does not learn."""
        if embeddings.ndim != 2:
            raise ArgumentError(f"Embedding.from_pretrained: Embeddings parameter is expected to be 2-dimensional; got {embeddings.ndim}")
        rows, columns = embeddings.shape
        return cls(rows, columns, padding_idx, _weight=embeddings, _freeze=freeze, **options)


class EmbeddingBag(Module):
    """The "sum", "mean" or "max" of rows of `weight`, drawn from N(0, 1), for each bag of integers.

    Bags are the rows of a matrix, or what starts at each of offsets in a vector. The row padding_idx does not count.

    >>> import gradflow as gf
    >>> gf.nn.EmbeddingBag(10, 3)(gf.tensor([1, 2, 4, 5, 4]), gf.tensor([0, 3])).shape
    torch.Size([2, 3])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        table = Embedding(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, False, device, dtype
        )
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, table.padding_idx
        self.mode, self.include_last_offset = mode, include_last_offset
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, scale_grad_by_freq, sparse
        self.weight = table.weight

    reset_parameters = Embedding.reset_parameters

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, **settings: Any) -> EmbeddingBag:
        """The given rows; they are not learned if freeze. The other settings are the constructor's."""
        if embeddings.ndim != 2:
            raise ArgumentError(
                f"EmbeddingBag: Embeddings parameter is expected to be 2-dimensional; it has shape {tuple(embeddings.shape)}"
            )
        rows, columns = embeddings.shape
        table = cls(rows, columns, _weight=embeddings, **settings)
        table.weight.requires_grad_(not freeze)
        return table

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        settings: dict[str, tuple[Any, Any]] = {
            "max_norm": (self.max_norm, None),
            "norm_type": (self.norm_type, 2),
            "scale_grad_by_freq": (self.scale_grad_by_freq, False),
        }
        settings |= {"mode": (self.mode, None), "padding_idx": (self.padding_idx, None)}
        said = "".join(f", {name}={value!r}" for name, (value, usual) in settings.items() if value != usual)
        return f"{self.num_embeddings}, {self.embedding_dim}{said}"
