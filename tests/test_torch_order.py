"""Order, places and contractions against torch: values, gradients, second derivatives."""

import numpy as np
import pytest
from compare import same

rng = np.random.default_rng(0)


def T(*shape):
    return rng.standard_normal(shape)


A, B, V, M3 = T(3, 4), T(3, 4), T(4), T(2, 3, 4)
CASES = {}


def case(name, f, *arrays):
    CASES[name] = (f, arrays)


def integers(name, f):
    case(f"integers {name}", lambda t, x: f(t).double() * x, np.array(2.0))


Z = T(3, 4)
Z[0, 1] = 0
Z[2, 3] = 0
Z[2, 1] = 0
case("flip", lambda t, x: t.flip(x, (0, 1)), A)
case("roll", lambda t, x: t.roll(x, 2, 1), A)
case("rollf", lambda t, x: t.roll(x, 3), A)
case("roll2", lambda t, x: t.roll(x, (1, 2), (0, 1)), A)
for k in range(4):
    case(f"rot{k}", lambda t, x, k=k: t.rot90(x, k) * 1, A)
case("tile", lambda t, x: t.tile(x, (2, 1, 2)), A)
case("ri", lambda t, x: t.repeat_interleave(x, 2, 1), A)
case("rif", lambda t, x: t.repeat_interleave(x, 3), A)
case("rit", lambda t, x: t.repeat_interleave(x, t.tensor([1, 0, 2]), 0), A)
case("diag", lambda t, x: t.diag(x, 1), V)
case("diagm", lambda t, x: t.diag(x, -1), A)
case("diagem", lambda t, x: t.diag_embed(x, 1, 0, 2), A)
case("trace", lambda t, x: t.trace(x) * 1, A)
case("unfold", lambda t, x: x.unfold(1, 2, 1) * 2, A)
case("unfold2", lambda t, x: x.unfold(0, 2, 1) * 2, T(5, 3))
case("unfold3", lambda t, x: x.unfold(0, 3, 2) * 2, T(8, 3))
case("as_strided", lambda t, x: x.as_strided((2, 2), (1, 2), 1) * 2, A)
case("as_strided_ov", lambda t, x: x.as_strided((3, 3), (1, 1), 0) * 2, A)
case("column_stack", lambda t, x, y: t.column_stack((x, y)), A, T(3))
case("dstack", lambda t, x, y: t.dstack((x, y)), A, B)
case("cart", lambda t, x, y: t.cartesian_prod(x, y), V, T(3))
case("tsplit", lambda t, x: t.cat([q * i for i, q in enumerate(t.tensor_split(x, 3, 1))], 1), A)
case("tsplit2", lambda t, x: t.tensor_split(x, (1, 3), 1)[1] * 2, A)
for m in ("reflect", "replicate", "circular"):
    case("pad" + m, lambda t, x, m=m: t.nn.functional.pad(x, (1, 2), mode=m), T(2, 3, 4))
case("padc", lambda t, x: t.nn.functional.pad(x, (1, -1, 0, 2), value=3.0), A)
case("takeop", lambda t, x: t.take(x, t.tensor([[0, -1], [5, 5]])), A)
for d in (0, 1):
    case(f"cumsum{d}", lambda t, x, d=d: t.cumsum(x, d), A)
    case(f"cumprod{d}", lambda t, x, d=d: t.cumprod(x, d), A)
    case(f"cumprodz{d}", lambda t, x, d=d: t.cumprod(x, d), Z)
    case(f"lcse{d}", lambda t, x, d=d: t.logcumsumexp(x, d), A)
    case(f"cummax{d}", lambda t, x, d=d: t.cummax(x, d)[0], A)
    case(f"cummin{d}", lambda t, x, d=d: t.cummin(x, d).values, A)
    case(f"diff{d}", lambda t, x, d=d: t.diff(x, dim=d), A)
    case(f"sort{d}", lambda t, x, d=d: t.sort(x, d)[0], A)
    case(f"sortd{d}", lambda t, x, d=d: t.sort(x, d, descending=True).values, A)
    case(f"topk{d}", lambda t, x, d=d: t.topk(x, 2, d)[0], A)
    case(f"topks{d}", lambda t, x, d=d: t.topk(x, 2, d, largest=False)[0], A)
    case(f"kth{d}", lambda t, x, d=d: t.kthvalue(x, 2, d)[0], A)
    case(f"median{d}", lambda t, x, d=d: t.median(x, d)[0], A)
    case(f"mode{d}", lambda t, x, d=d: t.mode(x, d)[0], np.round(A))
    for ip in ("linear", "lower", "higher", "midpoint", "nearest"):
        case(f"quant{d}{ip}", lambda t, x, d=d, ip=ip: t.quantile(x, 0.3, d, interpolation=ip), A)
case("median", lambda t, x: t.median(x) * 1, A)
case("quantv", lambda t, x: t.quantile(x, t.tensor([0.1, 0.9], dtype=t.float64), 0, keepdim=True), A)
case("quant", lambda t, x: t.quantile(x, 0.25), A)
case("nanmedian", lambda t, x: t.nanmedian(x) * 1, np.array([1.0, np.nan, 3, 2]))
case("mediannan", lambda t, x: t.median(x) * 1, np.array([1.0, np.nan, 3, 2]))
case("axis", lambda t, x: t.cumsum(x, axis=1) + x.sum(axis=1, keepdims=True), A)

X = np.random.default_rng(3).integers(0, 4, (4, 5))
for n, f in {
    "argsort": lambda t: t.argsort(t.tensor(X), 1),
    "uniq": lambda t: t.unique(t.tensor(X)),
    "uniqd": lambda t: t.unique(t.tensor(X), dim=1, return_inverse=True)[1],
    "uniqc": lambda t: t.unique(t.tensor(X), return_counts=True)[1],
    "uc": lambda t: t.unique_consecutive(t.tensor(X).flatten(), return_inverse=True, return_counts=True)[2],
    "ss": lambda t: t.searchsorted(t.tensor([1.0, 2, 3]), t.tensor([0.0, 1, 2.5, 9])),
    "ssr": lambda t: t.searchsorted(t.tensor([[1.0, 2, 3], [0, 5, 7]]), t.tensor([[0.0, 1], [5, 9]]), right=True),
    "bk": lambda t: t.bucketize(t.tensor([0.0, 1, 2.5, 9]), t.tensor([1.0, 2, 3])),
    "bc": lambda t: t.bincount(t.tensor(X).flatten(), minlength=7),
    "bcw": lambda t: t.bincount(t.tensor([0, 1, 1]), t.tensor([0.5, 1, 2])),
    "histc": lambda t: t.histc(t.tensor([1.0, 2, 1, 4]), 4, 0, 3),
    "modei": lambda t: t.mode(t.tensor(X), 1)[1],
    "cummaxi": lambda t: t.cummax(t.tensor(X), 1)[1],
    "cummini": lambda t: t.cummin(t.tensor(X), 0)[1],
    "sorti": lambda t: t.sort(t.tensor(X), stable=True)[1],
    "kthi": lambda t: t.kthvalue(t.tensor(X) * 10 + t.arange(5), 2)[1],
    "diffb": lambda t: t.diff(t.tensor([True, False, False])),
    "cumb": lambda t: t.cumsum(t.tensor([True, True]), 0),
}.items():
    integers(n, f)

J = np.array([[0, 2, 2, 1], [1, 1, 0, 2]])
case("scatter", lambda t, x, y: x.scatter(0, t.tensor([[0, 1, 2, 0]]), y), A, T(1, 4))
case("scattern", lambda t, x: x.scatter(1, t.tensor([[0], [3], [1]]), 5.0), A)
case("sadd", lambda t, x, y: x.scatter_add(0, t.tensor(J), y), A, T(2, 4))
for r in ("sum", "mean", "amax", "amin", "prod"):
    for inc in (True, False):
        case(f"sred{r}{inc}", lambda t, x, y, r=r, inc=inc: x.scatter_reduce(0, t.tensor(J), y, r, include_self=inc), A, T(2, 4))
case("iadd", lambda t, x, y: x.index_add(0, t.tensor([0, 0, 2]), y, alpha=2), A, T(3, 4))
case("icopy", lambda t, x, y: x.index_copy(1, t.tensor([0, 3]), y), A, T(3, 2))
case("ifill", lambda t, x: x.index_fill(1, t.tensor([0, 3]), 7.0), A)
case("iput", lambda t, x, y: x.index_put((t.tensor([0, 2]), t.tensor([1, 1])), y), A, T(2))
case("iputa", lambda t, x, y: x.index_put((t.tensor([0, 0]), t.tensor([1, 1])), y, accumulate=True), A, T(2))
case("mscat", lambda t, x, y: x.masked_scatter(t.tensor(A > 0), y), A, T(12))
case("put", lambda t, x, y: x.put(t.tensor([0, 5]), y), A, T(2))
case("sadd_", lambda t, x, y: (x * 1).scatter_add_(0, t.tensor(J), y), A, T(2, 4))
for eq, shapes in (
    ("ij,jk->ik", [(3, 4), (4, 5)]),
    ("ij,kj->ik", [(3, 4), (5, 4)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ij->ji", [(3, 4)]),
    ("ij,ij->", [(3, 4), (3, 4)]),
    ("i,j->ij", [(3,), (4,)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("...ij,...jk->...ik", [(2, 3, 4), (4, 5)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij,j", [(3, 4), (4,)]),
    ("ijk->j", [(2, 3, 4)]),
    ("i,ij,j->", [(3,), (3, 4), (4,)]),
    ("ab,cd->abcd", [(2, 3), (2, 2)]),
):
    case("es " + eq, lambda t, *x, eq=eq: t.einsum(eq, *x), *[T(*s) for s in shapes])
case("td", lambda t, x, y: t.tensordot(x, y, 1), A, T(4, 2))
case("td2", lambda t, x, y: t.tensordot(x, y, ([1, 0], [0, 1])), A, T(4, 3, 2))
case("kron", lambda t, x, y: t.kron(x, y), A, T(2, 2))
case("cross", lambda t, x, y: t.cross(x, y, dim=0), A, B)
case("inner", lambda t, x, y: t.inner(x, y), A, T(5, 4))
case("addmv", lambda t, x, y, z: t.addmv(x, y, z, beta=2, alpha=0.5), T(3), A, T(4))
case("addr", lambda t, x, y, z: t.addr(x, y, z), A, T(3), T(4))
case("addbmm", lambda t, x, y, z: t.addbmm(x, y, z), T(3, 2), M3, T(2, 4, 2))
case("dist", lambda t, x, y: t.dist(x, y) * 1, A, B)
case("cov", lambda t, x: t.cov(x), A)
case("corr", lambda t, x: t.corrcoef(x), A)


@pytest.mark.parametrize("name", CASES)
def test_as_torch(torch, name):
    f, arrays = CASES[name]
    same(torch, f, arrays)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_cdist(torch, p):
    """Torch has no second derivative of it, so values and gradients only."""
    import gradflow as gf

    results = []
    for t in (torch, gf):
        x, y = t.tensor(A, requires_grad=True), t.tensor(np.linspace(-1, 1, 20).reshape(5, 4), requires_grad=True)
        d = t.cdist(x, y, p=p)
        (d * d).sum().backward()
        results.append([d.detach().numpy(), x.grad.numpy(), y.grad.numpy()])
    for want, got in zip(*results):
        np.testing.assert_allclose(got, want, rtol=1e-9)
