"""Every operation at two sizes: expressions in torch's API, each one a case.

An expression reads tensors of ``INPUTS``; those in ``WRITTEN`` are changed. Where its result has a derivative, forward and
backward together are a second case. `~` in front: the values are random, or not unique, and only shapes and dtypes are compared; `!`: no derivative,
or none that agrees on what is differentiable.
"""

from __future__ import annotations

import ast
import functools
import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .cases import Case, Module, Step

Results = Callable[[], list]
TARGET, TOLERANCE = 1.5, 1e-3
WRITTEN = {"w", "wl", "wm"}
SIZES = {1000: "1e3", 1_000_000: "1e6"}

# About n elements each: x, y, z normal; p positive; u in (0, 1); h, b, d of other types; l, q, o integers (q, o positive); m a mask; s one number;
# i columns, j rows, k one row number a row, c one class a row; v a row, e a column; A well-conditioned matrices, S symmetric, L triangular;
# X a batch of matrices; seq, img, vol signals with batch and channels and f1, f2, f3 filters for them; a, ... of 64 elements for what multiplies sizes.
INPUTS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    **dict.fromkeys("xyzw", lambda rng, n: rng.standard_normal(matrix(n), np.float32)),
    "p": lambda rng, n: rng.uniform(1.1, 4, matrix(n)).astype(np.float32),
    "u": lambda rng, n: rng.uniform(0.1, 0.9, matrix(n)).astype(np.float32),
    "h": lambda rng, n: rng.standard_normal(matrix(n)).astype(np.float16),
    "d": lambda rng, n: rng.standard_normal(matrix(n)),
    **dict.fromkeys(("l", "wl"), lambda rng, n: rng.integers(-99, 99, matrix(n))),
    **dict.fromkeys("qo", lambda rng, n: rng.integers(1, 9, matrix(n))),
    **dict.fromkeys(("m", "wm"), lambda rng, n: rng.random(matrix(n)) < 0.3),
    "s": lambda rng, n: np.float32(0.5),
    "i": lambda rng, n: rng.integers(0, matrix(n)[1], matrix(n)),
    "j": lambda rng, n: rng.integers(0, matrix(n)[0], matrix(n)),
    "k": lambda rng, n: rng.permutation(matrix(n)[0]),
    "c": lambda rng, n: rng.integers(0, matrix(n)[1], matrix(n)[0]),
    "v": lambda rng, n: rng.standard_normal(matrix(n)[1], np.float32),
    "e": lambda rng, n: rng.standard_normal(matrix(n)[0], np.float32),
    **dict.fromkeys("AB", lambda rng, n: 0.5 * square(rng, n) + eye(n)),
    "S": lambda rng, n: (a := square(rng, n)) @ a.mT + eye(n),
    "L": lambda rng, n: np.tril(square(rng, n)) + 3 * eye(n),
    **dict.fromkeys("XY", lambda rng, n: rng.standard_normal((10, 10, 10) if n < 10_000 else (100, 100, 100), np.float32)),
    "seq": lambda rng, n: rng.standard_normal((1, 16, 64) if n < 10_000 else (16, 64, 1024), np.float32),
    "img": lambda rng, n: rng.standard_normal((1, 4, 16, 16) if n < 10_000 else (16, 16, 64, 64), np.float32),
    "vol": lambda rng, n: rng.standard_normal((1, 2, 8, 8, 8) if n < 10_000 else (4, 8, 32, 32, 32), np.float32),
    "f1": lambda rng, n: rng.standard_normal((16, 16, 3) if n < 10_000 else (64, 64, 3), np.float32),
    "f2": lambda rng, n: rng.standard_normal((4, 4, 3, 3) if n < 10_000 else (16, 16, 3, 3), np.float32),
    "f3": lambda rng, n: rng.standard_normal((2, 2, 3, 3, 3) if n < 10_000 else (8, 8, 3, 3, 3), np.float32),
    "a": lambda rng, n: rng.standard_normal((8, 8), np.float32),
    "short": lambda rng, n: rng.standard_normal(30 if n < 10_000 else 1000, np.float32),
    "points": lambda rng, n: rng.standard_normal((30, 8) if n < 10_000 else (1000, 8), np.float32),
    "signs": lambda rng, n: np.sign(rng.standard_normal(matrix(n), np.float32)),
    "sign": lambda rng, n: np.sign(rng.standard_normal(matrix(n)[0])),
    "place": lambda rng, n: rng.permutation(matrix(n)[0] * matrix(n)[1]).reshape(matrix(n)),
}


def matrix(n: int) -> tuple[int, int]:
    return (25, 40) if n < 10_000 else (1000, n // 1000)


def square(rng: np.random.Generator, n: int) -> np.ndarray:
    shape = (32, 32) if n < 10_000 else (n // 65536, 256, 256)
    return rng.standard_normal(shape, np.float32) / np.sqrt(np.float32(shape[-1]))


def eye(n: int) -> np.ndarray:
    return np.eye(32 if n < 10_000 else 256, dtype=np.float32)


# One operation applied the same way under many names: (the expression, the names).
FAMILIES = [
    ("torch.{}(x)", """
        abs absolute angle arctan arcsinh asinh atan ceil conj conj_physical cos cosh deg2rad erf erfc exp exp2 expm1 fix floor frac isfinite isinf
        isnan isneginf isposinf isreal nan_to_num neg negative positive rad2deg real relu round selu sigmoid sign signbit sin sinc sinh square
        tan tanh trunc celu rrelu frexp i0 resolve_conj resolve_neg alias_copy clone ravel fliplr flipud rot90 t_copy atleast_1d
        atleast_2d atleast_3d t adjoint"""),
    ("!torch.{}(x)", "sgn detach_copy"),
    ("torch.{}(u)", "acos arccos arcsin asin arctanh atanh erfinv logit"),
    ("torch.{}(p)", "acosh arccosh digamma lgamma log log10 log1p log2 reciprocal rsqrt sqrt"),
    ("torch.special.{}(x)", "i0 i0e i1 i1e erfcx log_ndtr ndtr round"),
    ("torch.special.{}(p)", "entr"),
    ("!torch.special.{}(x)", "airy_ai bessel_j0 bessel_j1 spherical_bessel_j0"),
    ("!torch.special.{}(p)", "bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 scaled_modified_bessel_k1"),
    ("torch.special.{}(u)", "logit ndtri"),
    ("!torch.special.{}(u, 3)", """
        chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w shifted_chebyshev_polynomial_t
        shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he
        laguerre_polynomial_l legendre_polynomial_p"""),
    ("torch.{}(x, y)", """
        add arctan2 atan2 copysign eq fmax fmin ge greater greater_equal gt hypot isclose le less less_equal logaddexp logaddexp2 lt
        maximum minimum mul multiply ne not_equal rsub sub subtract allclose equal logical_and logical_or logical_xor cdist cosine_similarity
        pairwise_distance dist is_same_size"""),
    ("!torch.{}(x, y)", "heaviside nextafter"),
    ("torch.{}(x, p)", "div divide fmod remainder true_divide ldexp"),
    ("torch.{}(p, u)", "float_power xlogy"),
    ("!torch.{}(p, u)", "floor_divide igamma igammac"),
    ("torch.{}(l, q)", "add sub mul div floor_divide fmod remainder bitwise_and bitwise_or bitwise_xor gcd lcm maximum eq lt"),
    ("torch.{}(q, o)", "bitwise_left_shift bitwise_right_shift pow"),
    ("torch.{}(m)", "all any bitwise_not logical_not count_nonzero nonzero argwhere"),
    ("torch.special.{}(p, y.abs())", "xlog1py"),
    ("torch.{}(x)", """
        amax amin aminmax argmax argmin argsort max mean median min msort nanmean nanmedian nansum norm prod std std_mean sum sort var var_mean
        numel"""),
    ("torch.{}(x, 0)", "amax amin argmax argmin mean std sum var logsumexp softmax log_softmax prod"),
    ("torch.{}(x, 1)", """
        amax amin any all argmax argmin argsort cummax cummin cumprod cumsum logcumsumexp logsumexp log_softmax max mean median min mode nanmean
        nanmedian nansum count_nonzero norm prod softmax sort std std_mean sum unbind var var_mean diff"""),
    ("torch.linalg.{}(A)", """
        cond det inv inv_ex lu_factor lu_factor_ex matrix_exp matrix_norm matrix_rank norm pinv slogdet svdvals vector_norm diagonal"""),
    ("torch.linalg.{}(S)", "cholesky cholesky_ex eigvalsh"),
    ("!torch.linalg.{}(S)", "ldl_factor ldl_factor_ex"),
    ("~torch.linalg.{}(S)", "eigh"),
    ("~torch.linalg.{}(A)", "qr svd lu"),
    ("torch.{}(A)", "det inverse logdet matrix_exp pinverse slogdet"),
    ("torch.linalg.{}(A, B)", "solve solve_ex vecdot"),
    ("torch.nn.functional.{}(x)", """
        elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish normalize relu relu6 silu softmin softplus softshrink
        softsign tanhshrink"""),
    ("torch.nn.functional.{}(x, y)", "huber_loss l1_loss mse_loss smooth_l1_loss"),
    ("torch.nn.functional.{}(x, signs.detach())", "soft_margin_loss hinge_embedding_loss"),
    ("~torch.nn.functional.{}(x)", "dropout alpha_dropout gumbel_softmax"),
    ("~torch.nn.functional.{}(seq)", "dropout1d feature_alpha_dropout"),
    ("x.{}()", "half bfloat16 double long int bool short char byte contiguous clone detach tolist numel dim size stride is_contiguous"),
    ("m.{}()", "float long int"),
    ("w.{}_()", """
        abs absolute arctan arcsinh asinh atan ceil cos deg2rad detach erf erfc fix floor frac nan_to_num neg negative rad2deg relu round sgn
        sigmoid sign sin sinc square tanh trunc zero"""),
    ("w.{}_(y)", "add copy copysign hypot mul sub subtract multiply"),
    ("w.{}_(p)", "arctan2 atan2 div divide floor_divide fmod remainder true_divide"),
    ("w.copy_(u).{}_()", "acos arccos arcsin arctanh asin atanh erfinv logit"),
    ("w.copy_(p).{}_()", "acosh arccosh cosh digamma exp exp2 expm1 i0 lgamma log log10 log1p log2 reciprocal rsqrt sinh sqrt tan"),
    ("w.copy_(p).{}_(u)", "igamma igammac ldexp xlogy heaviside nextafter"),
    ("w.{}_(y)", "eq ge greater greater_equal gt le less less_equal lt ne not_equal"),
    ("wl.{}_(q)", "gcd lcm bitwise_left_shift bitwise_right_shift"),
    ("wm.{}_(m)", "bitwise_and bitwise_or bitwise_xor logical_and logical_or logical_xor"),
    ("~w.{}_()", "normal uniform cauchy exponential log_normal bernoulli"),
    ("torch.{}(x, out=w)", "abs ceil cos exp floor neg sigmoid sin tanh round"),
    ("torch.{}(x, y, out=w)", "add sub mul div maximum atan2"),
]  # fmt: skip

EXPRESSIONS = """
x + y; x - y; x * y; x / p; !x // p; x % p; x ** 2; p ** u; x ** 3; 2 ** x; -x; x + 1; x * 2.5; 1 - x; 1 / p; x + s; x + v; x * e[:, None]; x == y
x < 0; x.T + y.T; x[:, ::3] + 1; x.T.contiguous(); h + h; h * 2; h.float(); h.exp(); d + d; d.exp(); d.tanh(); d.sum(); d.sum(0); l + l; l * 2; l // 3
l % 7; l / 3; q & 3; q | 8; q ^ 5; q << 1; q >> 1; ~m; m & m; l.sum(); l.sum(1); l.float(); x.double() + d; x + d; l + x; x.to(torch.float64)
x.type(torch.int32); x.type_as(d)

torch.pow(x, 2); torch.pow(p, u); torch.float_power(x, 2); torch.clamp(x, -1, 1); torch.clip(x, y, p); torch.clamp_max(x, 1); torch.clamp_min(x, 0)
torch.where(m, x, y); torch.where(m, x, 0.0); torch.lerp(x, y, 0.3); torch.lerp(x, y, u); torch.addcmul(x, y, z); torch.addcdiv(x, y, p, value=0.5)
torch.add(x, y, alpha=2); torch.sub(x, y, alpha=2); torch.div(x, p, rounding_mode="floor"); torch.mvlgamma(p, 2); torch.special.multigammaln(p, 2)
torch.polygamma(1, p); torch.special.polygamma(2, p); !torch.special.zeta(p, 2.0); torch.prelu(x, s); torch.threshold(x, 0.1, 20); torch.hardshrink(x)
torch.isin(l, q[0]); torch.round(x, decimals=2); torch.special.softmax(x, 1); torch.special.log_softmax(x, 1); torch.special.logsumexp(x, 1)
torch.fill(x, 2.0); torch.renorm(x, 2, 0, 1.0); torch.dot(v, v); torch.vdot(v, v); torch.inner(x, y); torch.is_nonzero(s); torch.fmod(x, 0.7)

x.norm(p=1); torch.norm(x, dim=1); torch.std_mean(x, 1); torch.aminmax(x, dim=1); torch.sum(x, (0, 1)); torch.sum(X, (0, 2))
torch.mean(x, 1, keepdim=True); torch.quantile(v, 0.3); torch.nanquantile(v, 0.3); torch.quantile(x[:20], 0.3, 1); torch.trapezoid(x, y)
torch.trapz(x, dx=0.5); torch.cumulative_trapezoid(x); torch.gradient(x); torch.histc(x, 50); !torch.histogram(x, 50); torch.bincount(q.flatten())
torch.unique(q); !torch.unique(x); torch.unique_consecutive(q); torch.topk(x, 5, 1); torch.kthvalue(x, 3, 1); torch.searchsorted(v.sort()[0], x)
torch.bucketize(x, v.sort()[0]); torch.diff(x, dim=0); x.sort(0); ~l.sort(1); ~l.argsort(1); x.cumsum(0); x.cumprod(0); torch.cov(x[:20])
torch.corrcoef(x[:20]); x.sum_to_size(1, x.shape[1]); torch.trace(x); l.max(); l.max(1); torch.nn.functional.one_hot(c)
torch.unravel_index(k, x.shape); x.isclose(y); torch.std(x, 1, keepdim=True); torch.var(x, (0, 1), correction=0)

x @ y.T; x.T @ y; x @ v; torch.matmul(X, Y); torch.mm(x, y.T); torch.mv(x, v); torch.bmm(X, Y); torch.outer(short, short); torch.ger(short, short)
torch.addmm(x[:, :20], x, y[:20].T); torch.addmv(e, x, v); torch.addr(x, e, v); torch.addbmm(X[0], X, Y); torch.baddbmm(X, X, Y)
torch.chain_matmul(x, y.T, x); torch.linalg.multi_dot([x, y.T, x]); torch.einsum("ij,kj->ik", x, y); torch.einsum("ij,ij->i", x, y)
torch.einsum("ij->ji", x); torch.einsum("bij,bjk->bik", X, Y); torch.tensordot(X, Y, 1); torch.kron(a, x[:8, :8]); torch.cross(x[:, :3], y[:, :3], 1)
torch.linalg.cross(x[:, :3], y[:, :3]); torch.bilinear(x, y, X[:4, :1, :1].expand(4, x.shape[1], x.shape[1]), None); torch.linalg.vecdot(x, y)
torch.linalg.vector_norm(x, 2, 1); torch.linalg.matrix_norm(X); torch.linalg.norm(x); torch.nn.functional.linear(x, y, e)

torch.cat([x, y]); torch.concat([x, y]); torch.concatenate([x, y]); torch.cat([x, y], 1); torch.stack([x, y]); torch.stack([x, y], 1)
torch.hstack([x, y]); torch.vstack([x, y]); torch.row_stack([x, y]); torch.dstack([x, y]); torch.column_stack([x, y]); torch.block_diag(x[:8], y[:8])
torch.cartesian_prod(short, short); torch.combinations(short); torch.meshgrid(short, short, indexing="ij"); torch.tile(x, (2,)); x.repeat(2, 1)
torch.repeat_interleave(x, 2, 0); torch.roll(x, 3, 1); torch.roll(x, 3); torch.flip(x, (0,)); torch.flip(x, (1,)); torch.rot90(x, 2)
torch.nn.functional.pad(x, (1, 1)); torch.nn.functional.pad(img, (1, 1, 1, 1), "reflect"); torch.constant_pad_nd(x, (1, 1)); torch.tril(x)
torch.triu(x); torch.tril(X, 1); torch.diag(x); torch.diag(short); torch.diagflat(short); torch.diag_embed(X[0]); !torch.vander(short, 5)
torch.linalg.vander(short); torch.broadcast_tensors(x, v); torch.pixel_shuffle(img, 2); torch.pixel_unshuffle(img, 2); torch.channel_shuffle(img, 2)
!torch.native_channel_shuffle(img, 2); torch.nn.functional.pixel_shuffle(img, 2); torch.nn.functional.pixel_unshuffle(img, 2); x.flatten()
torch.flatten(x); x.T.flatten(); x.T.reshape(-1); torch.as_strided_copy(x, (5, 5), (5, 1)); torch.diagonal_copy(x); torch.expand_copy(v, x.shape)
torch.narrow_copy(x, 0, 1, 9); torch.permute_copy(x, (1, 0)); torch.select_copy(x, 0, 1); torch.slice_copy(x, 0, 1, 9); torch.split_copy(x, 9)
torch.split_with_sizes_copy(x, [5, x.shape[0] - 5]); torch.squeeze_copy(x); torch.transpose_copy(x, 0, 1); torch.unbind_copy(x[:5])
torch.unfold_copy(x, 0, 3, 2); torch.unsqueeze_copy(x, 0); torch.view_copy(x, (-1,))

x.reshape(-1); x.view(-1); x.T; x.mT; torch.permute(X, (2, 0, 1)); torch.transpose(x, 0, 1); torch.swapaxes(x, 0, 1); torch.swapdims(x, 0, 1)
torch.movedim(X, 0, 2); torch.moveaxis(X, 0, 2); torch.unsqueeze(x, 1); x[None].squeeze(0); torch.squeeze(x); x.expand(3, -1, -1); v.expand_as(x)
torch.broadcast_to(v, x.shape); x.view_as(y); torch.diagonal(x); torch.linalg.diagonal(x); torch.narrow(x, 0, 1, 9); torch.select(x, 0, 3)
torch.split(x, 9); torch.chunk(x, 4); torch.unsafe_chunk(x, 4); torch.unsafe_split(x, 9); torch.tensor_split(x, 4)
torch.split_with_sizes(x, [5, x.shape[0] - 5]); torch.unsafe_split_with_sizes(x, [5, x.shape[0] - 5]); torch.hsplit(x, 4); torch.vsplit(x, 5)
torch.dsplit(X, 5); torch.unbind(x[:5]); torch.unflatten(x, 0, (5, -1)); torch.as_strided(x, (5, 5), (5, 1)); x.unfold(0, 3, 2); x.reshape_as(y)
torch.select_scatter(x, v, 0, 3); torch.slice_scatter(x, y[:9], 0, 0, 9); torch.diagonal_scatter(x, x.diagonal())
~torch.as_strided_scatter(x, v, (v.shape[0],), (1,))

x[3]; x[-1]; x[3, 4]; x[1:-1:2]; x[:, 1:5]; x[..., 0]; x[None]; x[k]; x[:, c]; x[k, c]; x[m]; x[k[:5].tolist()]; x[3, 4].item(); X[:, 1, None, ::2]
x[:, 0][k]; [row for row in x[:25]]; w[3] = 1.0; w[3] = v; w[3, 4] = 1.0; w[1:-1:2] = 0; w[:, 2] = e; w[k] = y; w[k] = 0.0; w[k, c] = e; w[m] = 0.0
w[:] = y; w[3] += 1; w[k] += 1; torch.gather(x, 1, i); torch.gather(x, 0, j); torch.index_select(x, 0, k); torch.index_select(x, 1, c)
torch.take(x, place); torch.take_along_dim(x, i, 1); torch.masked_fill(x, m, 0.0); torch.masked_select(x, m); torch.masked_scatter(x, m, y)
torch.where(m); torch.nonzero_static(m, size=99); torch.scatter(x, 1, x.argsort(1), y); torch.scatter(x, 1, i, 0.5); torch.scatter_add(x, 1, i, y)
torch.scatter_reduce(x, 1, i, y, "amax"); torch.scatter_reduce(x, 1, i, y, "mean"); torch.index_add(x, 0, k, y); torch.index_copy(x, 0, k, y)
torch.index_fill(x, 0, k, 0.5); torch.index_put(x, (k,), y); torch.index_put(x, (k, c), e, accumulate=True); torch.index_reduce(x, 0, k, y, "amax")
torch.put(x, place, y); torch.nn.functional.embedding(k, x); torch.embedding(x, k)

w.masked_fill_(m, 0.0); w.masked_scatter_(m, y); w.scatter_(1, i, 0.5); w.scatter_add_(1, i, y); w.scatter_reduce_(1, i, y, "amax")
w.index_add_(0, k, y); w.index_copy_(0, k, y); w.index_fill_(0, k, 0.5); w.index_put_((k,), y); w.index_reduce_(0, k, y, "amax"); w.put_(place, y)
w.fill_(1.0); w.clamp_(-1, 1); w.clip_(-1, 1); w.clamp_max_(1); w.clamp_min_(0); w.pow_(1); w.lerp_(y, 0.3); w.addcmul_(y, z); w.addcdiv_(y, p)
w.add_(1); w.mul_(1.01); w.tril_(); w.triu_(); w.cumsum_(1); w.fill_diagonal_(0.5); w.addr_(e, v); w.renorm_(2, 0, 1.0); w += y; w -= y; w *= 1.01
w /= p; wl += q; wl &= q; wl.bitwise_and_(q); wl.bitwise_not_(); wm.logical_not_(); w.unsqueeze_(0).squeeze_(0); w.swapdims_(0, 1)
w.copy_(p).mvlgamma_(2); w.copy_(p).polygamma_(1); w.resize_(x.shape); w.copy_(p).cumprod_(1); w.as_strided_(x.shape, x.stride())
w[0, :20].addmv_(y[:20], v); w[:, :20].addmm_(x, y[:20].T); X.clone().baddbmm_(X, Y); X[0].clone().addbmm_(X, Y); wl.add_(q); ~w.random_()
~w.geometric_(0.5); w.t_(); w.transpose_(0, 1); w.swapaxes_(0, 1); x.clone().add_(y); x.clone().mul_(2); x.clone().masked_fill_(m, 0.0)
torch.sum(x, 1, out=e.clone()); torch.cat([x[:9], x[9:]], out=w); torch.clamp(x, 0, 1, out=w); torch.cumsum(x, 1, out=w)

torch.zeros(x.shape); torch.ones(x.shape); ~torch.empty(x.shape); torch.full(x.shape, 3.0); torch.zeros_like(x); torch.ones_like(x)
torch.full_like(x, 2.0); ~torch.empty_like(x); x.new_zeros(x.shape); x.new_ones(x.shape); x.new_full(x.shape, 2.0); ~x.new_empty(x.shape)
x.new_tensor(3.0); torch.arange(x.numel()); torch.arange(0, 1, 1 / x.numel()); torch.linspace(0, 1, x.numel()); torch.logspace(0, 1, x.numel())
torch.eye(x.shape[0]); torch.tensor(3.0); torch.tensor([1.0, 2.0, 3.0]); torch.tensor(v.tolist()); torch.as_tensor(x); !torch.asarray(x)
torch.scalar_tensor(3.0); ~torch.empty_strided((25, 40), (40, 1)); torch.can_cast(x.dtype, l.dtype); torch.promote_types(x.dtype, l.dtype)
torch.is_tensor(x); !torch.from_numpy(x.numpy()); !x.numpy().shape; s.item(); float(s); len(x); x.shape; x.device; x.dtype; torch.bartlett_window(999)
torch.blackman_window(999); torch.hamming_window(999); torch.hann_window(999); torch.kaiser_window(999); torch.broadcast_shapes((3, 1), (1, 4))
torch.result_type(x, l); torch.get_device(x); torch.is_conj(x); torch.is_inference(x); torch.is_neg(x); torch.is_signed(x); torch.initial_seed() * 0; torch.seed() * 0
torch.set_rng_state(torch.get_rng_state()); torch.manual_seed(0); torch.get_rng_state().dtype; x.is_floating_point(); torch.tril_indices(9, 9)
torch.triu_indices(9, 9); ~torch.rand(x.shape); ~torch.randn(x.shape); ~torch.randint(0, 9, x.shape); ~torch.randperm(x.numel()); ~torch.rand_like(x)
~torch.randn_like(x); ~torch.randint_like(x, 9); ~!torch.normal(x, p); ~torch.normal(0.0, 1.0, x.shape); ~!torch.bernoulli(u); ~!torch.poisson(p)
~!torch.binomial(p.round(), u); ~torch.multinomial(u, 5); ~torch.rrelu(x, training=True); ~torch.dropout(x, 0.5, True)
~torch.native_dropout(x, 0.5, True); ~torch.alpha_dropout(x, 0.5, True); ~torch.feature_dropout(x, 0.5, True)
~torch.feature_alpha_dropout(x, 0.5, True)

torch.cholesky(S); ~torch.cholesky_inverse(L); ~torch.cholesky_solve(B, L); torch.linalg.solve_triangular(L, B, upper=False)
torch.triangular_solve(B, L, upper=False); torch.lu_solve(B, *torch.linalg.lu_factor(A)); torch.linalg.lu_solve(*torch.linalg.lu_factor(A), B)
!torch.linalg.ldl_solve(*torch.linalg.ldl_factor(S), B); torch.lu_unpack(*torch.linalg.lu_factor(A)); ~torch.qr(A); ~torch.svd(A)
torch.matrix_power(A, 3); torch.linalg.matrix_power(A, 3); torch.linalg.lstsq(A, B); ~!torch.geqrf(A); torch.linalg.householder_product(A, A[..., 0])
torch.orgqr(A, A[..., 0]); torch.ormqr(A, A[..., 0], B); torch.linalg.tensorinv(a.reshape(8, 2, 4), 1); torch.linalg.tensorsolve(a, a[0])
~torch.svd_lowrank(x, 3); ~torch.pca_lowrank(x, 3); ~torch.lu(A)

torch.layer_norm(x, x.shape[1:]); torch.rms_norm(x, x.shape[1:]); torch.group_norm(img, 2); torch.nn.functional.instance_norm(img)
torch.nn.functional.batch_norm(x, None, None, v, v, True); torch.nn.functional.local_response_norm(img, 2)
torch.nn.functional.cosine_embedding_loss(x, y, sign); torch.nn.functional.margin_ranking_loss(x, y, signs)
torch.nn.functional.poisson_nll_loss(x, p); torch.nn.functional.triplet_margin_loss(x, y, z)
torch.nn.functional.triplet_margin_with_distance_loss(x, y, z); torch.nn.functional.binary_cross_entropy_with_logits(x, u)
torch.nn.functional.binary_cross_entropy(u, m.float()); torch.nn.functional.cross_entropy(x, c); torch.nn.functional.nll_loss(x, c)
torch.nn.functional.kl_div(x, u, reduction="sum"); torch.nn.functional.gaussian_nll_loss(x, y, p); torch.nn.functional.multi_margin_loss(x, c)
torch.nn.functional.multilabel_margin_loss(x, i); torch.nn.functional.multilabel_soft_margin_loss(x, u); torch.nn.functional.prelu(x, s)
torch.nn.functional.softmax(x, 1); torch.nn.functional.embedding_bag(j, x); torch.pdist(points); torch.nn.functional.pdist(points)
torch.nn.functional.ctc_loss(X.log_softmax(-1), (i[:X.shape[1], :4] % (X.shape[2] - 1)) + 1, [X.shape[0]] * X.shape[1], [4] * X.shape[1])
torch.nn.functional.scaled_dot_product_attention(X, Y, X); torch.conv1d(seq, f1); torch.conv2d(img, f2); torch.conv3d(vol, f3)
torch.conv_transpose1d(seq, f1); torch.conv_transpose2d(img, f2); torch.conv_transpose3d(vol, f3); torch.avg_pool1d(seq, 2)
torch.nn.functional.avg_pool2d(img, 2); torch.nn.functional.avg_pool3d(vol, 2); torch.max_pool1d(seq, 2); torch.max_pool2d(img, 2)
torch.max_pool3d(vol, 2); torch.adaptive_avg_pool1d(seq, 4); torch.nn.functional.adaptive_max_pool1d(seq, 4)
torch.nn.functional.adaptive_avg_pool2d(img, 4); torch.nn.functional.adaptive_avg_pool3d(vol, 4); torch.nn.functional.adaptive_max_pool2d(img, 4)
torch.nn.functional.adaptive_max_pool3d(vol, 4); torch.nn.functional.lp_pool1d(seq, 2.0, 2); torch.nn.functional.lp_pool2d(img, 2.0, 2)
torch.nn.functional.lp_pool3d(vol, 2.0, 2); ~torch.nn.functional.fractional_max_pool2d(img, 2, output_ratio=(0.5, 0.5)); ~torch.nn.functional.fractional_max_pool3d(vol, 2, output_ratio=(0.5, 0.5, 0.5)); torch.nn.functional.unfold(img, 3); torch.nn.functional.fold(img.flatten(2)[:, :, :9], (4, 4), 2)
torch.nn.functional.interpolate(img, scale_factor=2); torch.nn.functional.grid_sample(img, torch.nn.functional.affine_grid(torch.eye(3)[:2].repeat(img.shape[0], 1, 1), img.shape, align_corners=False), align_corners=False); torch.nn.functional.interpolate(img, scale_factor=2, mode="bilinear")
torch.nn.functional.upsample(img, scale_factor=2); torch.nn.functional.upsample_bilinear(img, scale_factor=2)
torch.nn.functional.upsample_nearest(img, scale_factor=2)
torch.nn.functional.max_unpool1d(*torch.nn.functional.max_pool1d(seq, 2, return_indices=True), 2)
torch.nn.functional.max_unpool2d(*torch.nn.functional.max_pool2d(img, 2, return_indices=True), 2)
torch.nn.functional.max_unpool3d(*torch.nn.functional.max_pool3d(vol, 2, return_indices=True), 2); ~torch.nn.functional.dropout2d(img)
~torch.nn.functional.dropout3d(vol)
torch.conv2d(img, f2, padding=1); torch.conv2d(img, f2, stride=2); torch.conv2d(img, f2[:, :1], padding=1, groups=img.shape[1])
torch.max_pool2d(img, 3, 2, 1); torch.nn.functional.avg_pool2d(img, 3, 1, 1); torch.nn.functional.adaptive_avg_pool2d(img, 7)
torch.nn.functional.batch_norm(img, None, None, None, None, True); torch.nn.functional.scaled_dot_product_attention(X, Y, X, is_causal=True)
torch.nn.functional.embedding_bag(j, x, mode="sum"); torch.stack([e, e, e]); torch.arange(x.numel(), dtype=torch.float32); torch.cat([x, l.float()])
torch.nn.functional.multi_head_attention_forward(X, X, X, X.shape[2], 1, None, None, None, None, False, 0.0, Y[0], None, use_separate_proj_weight=True, q_proj_weight=Y[1], k_proj_weight=Y[2], v_proj_weight=Y[3])[0]
"""


def expressions() -> Iterator[str]:
    for form, names in FAMILIES:
        yield from (form.format(name) for name in names.split())
    yield from (text for line in EXPRESSIONS.splitlines() for text in line.rstrip(";").split("; ") if text)


def named(text: str) -> list[str]:
    """The inputs that an expression reads."""
    return sorted({node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name) and node.id in INPUTS})


def flat(result: Any) -> list[Any]:
    """The tensors and numbers of a result."""
    if isinstance(result, list | tuple):
        return [part for item in result for part in flat(item)]
    return [result] if hasattr(result, "requires_grad") or isinstance(result, int | float) else []


def prepared(torch: Module, text: str, size: int, differentiated: bool) -> tuple[Callable[[], Any], list]:
    """The expression as a function, and the leaves among its inputs."""
    place: dict[str, Any] = {"torch": torch}
    for name in named(text):
        place[name] = torch.tensor(INPUTS[name](np.random.default_rng(zlib.crc32(name.encode())), size))
    leaves = [place[name].requires_grad_() for name in named(text) if place[name].is_floating_point()] if differentiated else []
    try:
        return eval(f"lambda: {text}", place), leaves
    except SyntaxError:  # a change in place: its result is the tensor that changes
        (changed,) = WRITTEN.intersection(named(text))
        exec(f"def step():\n    global {changed}\n    {text}\n    return {changed}", place)
        return place["step"], leaves


def forward(torch: Module, text: str, size: int) -> tuple[Step, Results]:
    step, _ = prepared(torch, text, size, False)
    return step, lambda: flat(step())


def backward(torch: Module, text: str, size: int) -> tuple[Step, Results]:
    """The expression and its gradients, for a given cotangent at each result; no results where it has no derivative."""
    f, leaves = prepared(torch, text, size, True)

    def results_of_f() -> list:
        return [y for y in flat(f()) if getattr(y, "requires_grad", False)]

    seeds = [torch.cos(y.detach()) for y in results_of_f()]  # ones would give zeros through softmax
    if not seeds:
        return lambda: None, list
    (seed,) = seeds if hasattr(f(), "backward") else (None,)

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        if seed is None:
            torch.autograd.backward(results_of_f(), seeds)
        else:
            f().backward(seed)

    def results() -> list:
        step()
        return [leaf.grad for leaf in leaves if leaf.grad is not None]

    return step, results


def operations() -> Iterator[Case]:
    for size, spelled in SIZES.items():
        for marked in expressions():
            text = marked.lstrip("~!")
            marks = marked.removesuffix(text)
            tolerance = math.inf if "~" in marks else TOLERANCE
            yield Case(f"{text}, {spelled}", functools.partial(forward, text=text, size=size), TARGET, tolerance)
            if "!" not in marks and "out=" not in text and not WRITTEN.intersection(named(text)):
                setup = functools.partial(backward, text=text, size=size)
                yield Case(f"{text}, {spelled}, forward + backward", setup, TARGET, tolerance)


OPERATIONS: dict[str, Case] = {case.name: case for case in operations()}
