"""Linear algebra against torch: values, gradients, second derivatives; where vectors have free signs, what does not depend on them."""

import numpy as np
import pytest
from compare import same

import gradflow as gf

rng = np.random.default_rng(3)


def T(*shape):
    return rng.standard_normal(shape)


def regular(*shape):
    return T(*shape) + 3 * np.eye(shape[-1])


def positive(*shape):
    a = T(*shape)
    return a @ a.swapaxes(-1, -2) + np.eye(shape[-1])


S, B3, P3 = regular(4, 4), regular(2, 3, 3), positive(2, 3, 3)
WIDE, TALL, STACK, VEC = T(3, 5), T(5, 3), T(2, 4, 3), T(4)
SINGULAR = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
REAL_SPECTRUM = np.triu(T(3, 3), 1) + np.diag([1.0, 2.5, 4])
CASES = {}
pytestmark = pytest.mark.filterwarnings("ignore:torch.*deprecated")


def case(name, f, *arrays):
    assert name not in CASES
    CASES[name] = (f, arrays)


def symmetric(x):
    return (x + x.mT) / 2


for label, a in (("", S), (" of a stack", B3)):
    case(f"inv{label}", lambda t, x: t.linalg.inv(x), a)
    case(f"det{label}", lambda t, x: t.linalg.det(x), a)
    case(f"logabsdet{label}", lambda t, x: t.linalg.slogdet(x).logabsdet, a)
    case(f"sign{label}", lambda t, x: t.linalg.slogdet(x)[0], a)
    case(f"logdet{label}", lambda t, x: t.logdet(x @ x.mT), a)
    case(f"matrix_exp{label}", lambda t, x: t.linalg.matrix_exp(x), a)
    case(f"exp of something small{label}", lambda t, x: t.matrix_exp(x / 100), a)
    for n in (-3, -1, 0, 1, 2, 5):
        case(f"matrix_power {n}{label}", lambda t, x, n=n: t.linalg.matrix_power(x, n), a)
    case(f"lu{label}", lambda t, x: sum((i + 1) * y for i, y in enumerate(t.linalg.lu(x))), a)
    case(f"lu_factor{label}", lambda t, x: t.linalg.lu_factor(x).LU, a)
    case(f"qr{label}", lambda t, x: t.linalg.qr(x).Q * 2 + t.linalg.qr(x)[1], a)
    case(f"qr, complete{label}", lambda t, x: t.linalg.qr(x, mode="complete").Q + t.qr(x, some=False).R, a)
    case(f"eigvalsh{label}", lambda t, x: t.linalg.eigvalsh(symmetric(x)), a)
    case(f"eigenvectors, squared{label}", lambda t, x: t.linalg.eigh(symmetric(x)).eigenvectors ** 2, a)
    case(f"projections{label}", lambda t, x: projection(t, *t.linalg.eigh(symmetric(x), "U")), a)
case("inverse", lambda t, x: x.inverse(), S)
case("det of a permutation", lambda t, x: t.det(x), np.eye(3)[[1, 0, 2]])
case("cholesky", lambda t, x: t.linalg.cholesky(symmetric(x)), P3)
case("cholesky, upper", lambda t, x: t.cholesky(symmetric(x), upper=True), P3)
case("cholesky reads one triangle", lambda t, x: t.linalg.cholesky_ex(x)[0], positive(3, 3))
case("cholesky_solve", lambda t, x, b: t.cholesky_solve(b, t.linalg.cholesky(x)), P3, T(2, 3, 2))
case("cholesky_solve, upper", lambda t, x, b: b.cholesky_solve(t.linalg.cholesky(x, upper=True), upper=True), P3[0], T(3, 2))
case("cholesky_inverse", lambda t, x: t.cholesky_inverse(t.linalg.cholesky(x)), P3)
case("cholesky_inverse, upper", lambda t, x: t.cholesky_inverse(t.linalg.cholesky(x, upper=True), upper=True), P3)


def projection(t, values, vectors):
    """Onto the first two eigenvectors, weighted by their values."""
    v = vectors[..., :2]
    return (v * values[..., None, :2]) @ v.mT


for label, b in (("a vector", T(4)), ("a matrix", T(4, 2)), ("nothing", T(4, 0)), ("a stack", T(3, 4, 2))):
    case(f"solve for {label}", lambda t, x, b: t.linalg.solve(x, b), S, b)
case("solve for a stack of vectors", lambda t, x, b: t.linalg.solve(x, b), B3, T(2, 3))
case("solve for one vector", lambda t, x, b: t.linalg.solve(x, b), B3, T(3))
case("solve, broadcast", lambda t, x, b: t.linalg.solve(x, b), regular(2, 1, 3, 3), T(4, 3, 2))
case("solve from the right", lambda t, x, b: t.linalg.solve(x, b, left=False), B3, T(2, 2, 3))
case("solve_ex", lambda t, x, b: t.linalg.solve_ex(x, b).result, B3, T(2, 3, 2))
for upper in (False, True):
    for left in (False, True):
        for unit in (False, True):
            options = {"upper": upper, "left": left, "unitriangular": unit}
            shape = (3, 2) if left else (2, 3)
            case(f"solve_triangular {options}", lambda t, x, b, o=options: t.linalg.solve_triangular(x, b, **o), B3, T(2, *shape))
    for transpose in (False, True):
        options = {"upper": upper, "transpose": transpose}
        case(f"triangular_solve {options}", lambda t, x, b, o=options: t.triangular_solve(b, x, **o)[0], B3, T(2, 3, 2))
case("solve_triangular, broadcast", lambda t, x, b: t.linalg.solve_triangular(x, b, upper=True), S, T(3, 4, 2))
case("solve_triangular of a transpose", lambda t, x, b: t.linalg.solve_triangular(x.mT, b, upper=False), S, T(4, 2))
case("solve_triangular of every other row", lambda t, x, b: t.linalg.solve_triangular(x[::2, ::2], b, upper=False), S, T(2, 2))
for left in (False, True):
    for adjoint in (False, True):
        options = {"left": left, "adjoint": adjoint}
        b = T(4, 2) if left else T(2, 4)
        case(f"lu_solve {options}", lambda t, x, b, o=options: t.linalg.lu_solve(*t.linalg.lu_factor(x), b, **o), S, b)
case("lu_solve", lambda t, x, b: t.lu_solve(b, *t.lu(x)), B3, T(2, 3, 1))
case("lu_solve, broadcast", lambda t, x, b: t.linalg.lu_solve(*t.linalg.lu_factor(x), b), B3[0], T(2, 3, 1))
for label, a in (("wide", WIDE), ("tall", TALL), ("a stack", STACK), ("a wide stack", T(2, 2, 4))):
    k = min(a.shape[-2:])
    case(f"L of {label}", lambda t, x: t.linalg.lu(x).L, a)
    case(f"U of {label}", lambda t, x: t.linalg.lu(x).U, a)
    case(f"P of {label}", lambda t, x: t.linalg.lu(x).P * x.sum(), a)
    case(f"lu_unpack of {label}", lambda t, x: t.lu_unpack(*x.lu())[1] @ t.lu_unpack(*x.lu()).U, a)
    case(f"Q of {label}", lambda t, x: t.linalg.qr(x).Q, a)
    case(f"R of {label}", lambda t, x: t.linalg.qr(x).R, a)
    case(f"svdvals of {label}", lambda t, x: t.linalg.svdvals(x), a)
    case(f"U squared of {label}", lambda t, x: t.linalg.svd(x, full_matrices=False).U ** 2, a)
    case(f"Vh squared of {label}", lambda t, x: t.linalg.svd(x, full_matrices=False).Vh ** 2, a)
    case(f"svd of {label}, full", lambda t, x, k=k: full(t.linalg.svd(x), k), a)
    case(f"svd of {label}, older", lambda t, x: x.svd()[0] @ (x.svd().S.unsqueeze(-1) ** 2 * x.svd().V.mT), a)
    case(f"svd of {label}, values", lambda t, x: t.svd(x, compute_uv=False)[1], a)
    case(f"pinv of {label}", lambda t, x: t.linalg.pinv(x), a)
    case(f"pinverse of {label}", lambda t, x: x.pinverse(), a)
    case(f"pinv of {label}, low rank", lambda t, x: t.linalg.pinv(x[..., :1] @ x[..., :1, :], rtol=1e-6), a)
    m = a.shape[-2]
    for driver in ("gels", "gelsy", "gelsd", "gelss"):
        case(f"lstsq of {label}, {driver}", lambda t, x, b, d=driver: t.linalg.lstsq(x, b, driver=d).solution, a, T(*a.shape[:-2], m, 2))
    case(f"lstsq of {label}, a vector", lambda t, x, b: t.linalg.lstsq(x, b)[0], a, T(*a.shape[:-1]))
    case(f"cond of {label}", lambda t, x: t.linalg.cond(x), a)
    for order in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
        case(f"matrix_norm {order} of {label}", lambda t, x, o=order: t.linalg.matrix_norm(x, o), a)
    case(f"nuclear norm of {label}", lambda t, x: t.norm(x, "nuc", (-2, -1), True), a)
case("residuals", lambda t, x, b: t.linalg.lstsq(x, b, driver="gelsd").residuals, STACK, T(2, 4, 2))


def full(result, k):
    u, s, vh = result
    return (u[..., :k] * s.unsqueeze(-2) ** 2) @ vh[..., :k, :]


case("eigvals", lambda t, x: t.linalg.eigvals(x).real if t is not gf else t.linalg.eigvals(x), REAL_SPECTRUM)
case("eig", lambda t, x: real_part(t, t.linalg.eig(x).eigenvectors) ** 2, REAL_SPECTRUM)
case("pinv, hermitian", lambda t, x: t.linalg.pinv(symmetric(x), hermitian=True), B3)
for order in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
    case(f"cond {order}", lambda t, x, o=order: t.linalg.cond(x, o) if t is gf else torch_cond(t, x, o), B3)
    case(f"norm {order} over (0, 2)", lambda t, x, o=order: t.linalg.norm(x, o, (0, 2), keepdim=True), STACK)
    case(f"norm {order} over (2, 0)", lambda t, x, o=order: t.linalg.matrix_norm(x, o, (2, 0)), STACK)
for order in (2, 1, 0, 3, 0.5, -2, float("inf"), -float("inf")):
    case(f"vector_norm {order}", lambda t, x, o=order: t.linalg.vector_norm(x, o), STACK)
    case(f"vector_norm {order} along", lambda t, x, o=order: t.linalg.vector_norm(x, o, (0, -1), True), STACK)
    case(f"norm {order} of a vector", lambda t, x, o=order: t.linalg.norm(x, o), VEC)
case("norm of everything", lambda t, x: t.linalg.norm(x), STACK)
case("norm along", lambda t, x: t.linalg.norm(x, dim=(0, 1)), STACK)
case("norm along one", lambda t, x: t.linalg.norm(x, 3, 1), STACK)
case("norm in another type", lambda t, x: t.linalg.norm(x.float(), dtype=t.float64), STACK)
case("multi_dot", lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), T(4, 2), T(2, 5), T(5, 3))
case("multi_dot of vectors", lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), T(4), T(4, 5), T(5))
case("tensorinv", lambda t, x: t.linalg.tensorinv(x.reshape(2, 2, 4)), S)
case("tensorinv, one axis", lambda t, x: t.linalg.tensorinv(x.reshape(4, 2, 2), ind=1), S)
case("tensorsolve", lambda t, x, b: t.linalg.tensorsolve(x.reshape(2, 2, 4), b), S, T(2, 2))
case("tensorsolve, dims", lambda t, x, b: t.linalg.tensorsolve(x.reshape(2, 4, 2), b, dims=(0,)), S, T(4))
case("vander", lambda t, x: t.linalg.vander(x), STACK)
case("vander, N", lambda t, x: t.linalg.vander(x, N=5), np.array([0.0, 1, -2]))
case("vander of a vector", lambda t, x: t.vander(x) if t is gf else t.linalg.vander(x).flip(-1), VEC)
case("vander, increasing", lambda t, x: t.vander(x, 3, increasing=True) if t is gf else t.linalg.vander(x, N=3), VEC)
case("vecdot", lambda t, x, y: t.linalg.vecdot(x, y, dim=1), STACK, T(4, 3))
case("linalg.cross", lambda t, x, y: t.linalg.cross(x, y), STACK, T(1, 4, 3))
case("linalg.diagonal", lambda t, x: t.linalg.diagonal(x, offset=1), STACK)
case("householder_product", lambda t, x, tau: t.linalg.householder_product(x, tau), STACK, T(2, 3))
case("orgqr", lambda t, x, tau: t.orgqr(x, tau), TALL, T(2))
for left in (False, True):
    for transpose in (False, True):
        options = {"left": left, "transpose": transpose}
        other = T(5, 2) if left else T(2, 5)
        case(f"ormqr {options}", lambda t, x, tau, y, o=options: t.ormqr(x, tau, y, **o), TALL, T(3), other)
case("adjoint", lambda t, x: x.adjoint() * x.mH + x[0].H.sum(), B3)


def torch_cond(t, x, order):
    """Torch's own changes in place what its second derivative needs."""
    inverse = t.linalg.inv(x)
    return t.linalg.matrix_norm(x, order) * t.linalg.matrix_norm(inverse, order)


def real_part(t, x):
    return x if t is gf else x.real


@pytest.mark.parametrize("name", CASES)
def test_values_gradients_and_second_derivatives(torch, name):
    f, arrays = CASES[name]
    same(torch, f, arrays, rtol=1e-6, atol=1e-8)


# The second derivatives in float32 lose digits in another order; torch's own forms of these lose most.
ROUGH = ("low rank", "cond", "matrix_power 5", "matrix_power -3", "nothing")


@pytest.mark.parametrize("name", [name for name in CASES if not any(part in name for part in ROUGH)])
def test_in_float32(torch, name):
    f, arrays = CASES[name]
    same(torch, f, [np.asarray(a, np.float32) for a in arrays], rtol=5e-3, atol=5e-3)


def differences(f, a, step=1e-6):
    """The gradient of a function of an array, by differences."""
    g = np.zeros_like(a)
    for i in np.ndindex(a.shape):
        e = np.zeros_like(a)
        e[i] = step
        g[i] = (f(a + e) - f(a - e)) / (2 * step)
    return g


def gradient(f, a):
    x = gf.tensor(a, requires_grad=True)
    f(x).sum().backward()
    return x.grad.numpy()


def lower_solved(x):
    return gf.cholesky_solve(gf.tensor([[1.0], [2], [3]], dtype=gf.float64), x) + gf.cholesky_inverse(x)


@pytest.mark.parametrize(
    "f, a",
    [
        (gf.linalg.det, SINGULAR),
        (gf.linalg.det, np.stack([np.outer([1.0, 2, 3], [1, 0, 2]), SINGULAR, regular(3, 3), np.zeros((3, 3))])),
        (gf.linalg.matrix_exp, np.zeros((2, 2))),
        (lower_solved, np.linalg.cholesky(positive(3, 3)) + np.triu(np.full((3, 3), 9.0), 1)),  # only the triangle that is read
        (lambda x: gf.linalg.vecdot(*gf.linalg.eig(x).eigenvectors.unbind(-1)), np.array([[1.0, 3], [0.5, 2]])),
        (lambda x: gf.linalg.matrix_norm(x, "nuc"), T(3, 2)),
    ],
)
def test_gradients_by_differences(f, a):
    want = differences(lambda y: f(gf.tensor(y)).sum().item(), a)
    np.testing.assert_allclose(gradient(f, a), want, atol=2e-6)


def test_second_derivative_of_a_singular_determinant():
    stack = np.stack([SINGULAR, np.eye(3), regular(3, 3), np.diag([0.0, 2, 2.5])])
    weights = T(4, 3, 3)

    def turned(a):
        x = gf.tensor(a, requires_grad=True)
        (g,) = gf.autograd.grad(gf.linalg.det(x).sum(), x, create_graph=True)
        return x, (g * gf.tensor(weights)).sum()

    x, y = turned(stack)
    (second,) = gf.autograd.grad(y, x)
    np.testing.assert_allclose(second.numpy(), differences(lambda a: turned(a)[1].item(), stack), atol=1e-5)


def test_exponential_is_exact():
    for scale in (1e-3, 1, 30):
        a = scale * np.array([[-1.0, 1], [0, -1]])
        want = np.exp(-scale) * np.array([[1, scale], [0, 1]])
        np.testing.assert_allclose(gf.linalg.matrix_exp(gf.tensor(a)).numpy(), want, rtol=1e-13 * max(scale, 1))
    mixed = gf.linalg.matrix_exp(gf.tensor([[[np.nan, 0], [0, 0]], [[np.inf, 0], [0, 0]], [[0, 0], [0, 0]]]))
    assert np.isnan(mixed.numpy()[:2]).all()
    assert mixed[2].tolist() == [[1, 0], [0, 1]]
    half = gf.linalg.matrix_exp(gf.eye(2, dtype=gf.float16))
    assert half.dtype == gf.float16
    assert half.tolist() == np.diag([np.float16(np.e)] * 2).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 7, 64, 200])
def test_factors_multiply_back(n, dtype):
    a = regular(3, n, n).astype(dtype)
    x, eps = gf.tensor(a), np.finfo(dtype).eps * 50 * n
    P, L, U = (y.numpy() for y in gf.linalg.lu(x))
    np.testing.assert_allclose(P @ L @ U, a, atol=eps)
    assert (np.abs(L) <= 1).all()
    np.testing.assert_allclose((gf.linalg.inv(x) @ x).numpy(), np.broadcast_to(np.eye(n), a.shape), atol=eps * np.linalg.cond(a).max())
    spd = x @ x.mT
    C = gf.linalg.cholesky(spd).numpy()
    np.testing.assert_allclose(C @ C.swapaxes(-1, -2), spd.numpy(), rtol=eps, atol=eps * n)
    sign, log = np.linalg.slogdet(a)
    got = gf.linalg.slogdet(x)
    np.testing.assert_array_equal(got.sign.numpy(), sign)
    np.testing.assert_allclose(got.logabsdet.numpy(), log, rtol=1e-4 if dtype == np.float32 else 1e-12)


def test_many_small_matrices_on_all_threads():
    a, b = regular(5000, 4, 4), T(5000, 4, 3)
    x = gf.linalg.solve(gf.tensor(a), gf.tensor(b)).numpy()
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-9)
    threads = gf.get_num_threads()
    try:
        gf.set_num_threads(1)
        assert gf.linalg.solve(gf.tensor(a), gf.tensor(b)).numpy().tobytes() == x.tobytes()
    finally:
        gf.set_num_threads(threads)


@pytest.mark.parametrize("shape", [(0, 3, 3), (0, 0), (2, 0, 0), (3, 0), (0, 3), (2, 0, 3), (2, 3, 0)])
def test_empty_matrices(torch, shape):
    calls = "svd qr svdvals pinv lu lu_factor matrix_rank cond matrix_norm vector_norm"
    if shape[-1] == shape[-2]:
        calls += " inv det slogdet cholesky eigh eigvalsh matrix_exp"
    for name in calls.split():
        want, got = (getattr(t.linalg, name)(t.zeros(shape)) for t in (torch, gf))
        for w, g in zip(want, got, strict=True) if isinstance(want, tuple) else [(want, got)]:
            assert tuple(g.shape) == tuple(w.shape), name
            assert str(g.dtype) == str(w.dtype), name
            np.testing.assert_array_equal(g.numpy(), w.numpy(), err_msg=name)
        x = gf.zeros(shape, requires_grad=True)
        if name not in ("matrix_rank", "lu", "cond"):
            got = getattr(gf.linalg, name)(x)
            got = next(y for y in got if y.requires_grad) if isinstance(got, tuple) else got
            got.sum().backward()
            assert x.grad.shape == x.shape
    assert gf.linalg.lstsq(gf.zeros(shape), gf.zeros((*shape[:-1], 2))).solution.shape == (*shape[:-2], shape[-1], 2)


def test_named_results():
    x = gf.eye(3) * 2
    assert gf.linalg.svd(x)._fields == ("U", "S", "Vh")
    assert gf.svd(x)._fields == ("U", "S", "V")
    assert gf.linalg.qr(x)._fields == ("Q", "R")
    assert gf.linalg.eigh(x)._fields == gf.linalg.eig(x)._fields == ("eigenvalues", "eigenvectors")
    assert gf.linalg.lu_factor_ex(x)._fields == ("LU", "pivots", "info")
    assert gf.linalg.lstsq(x, x)._fields == ("solution", "residuals", "rank", "singular_values")
    assert gf.linalg.slogdet(x)._fields == ("sign", "logabsdet")
    assert gf.linalg.inv_ex(x).info.dtype == gf.int32
    assert type(gf.lu(x)) is tuple


def test_failures_are_numbered_not_raised():
    stack = gf.stack([gf.eye(3), -gf.eye(3), gf.zeros(3, 3)])
    assert gf.linalg.cholesky_ex(stack).info.tolist() == [0, 1, 1]
    assert gf.linalg.cholesky_ex(gf.diag(gf.tensor([1.0, 2, np.nan]))).info.item() == 3
    assert gf.linalg.inv_ex(stack).info.tolist() == [0, 0, 1]
    assert gf.linalg.solve_ex(stack, stack).info.tolist() == [0, 0, 1]
    assert gf.linalg.lu_factor_ex(stack).info.tolist() == [0, 0, 1]
    assert gf.linalg.det(stack).tolist() == [1, -1, 0]
    sign, log = gf.linalg.slogdet(stack)
    assert (sign.tolist(), log.tolist()) == ([1, -1, 0], [0, 0, -np.inf])
    assert gf.linalg.cond(gf.stack([gf.eye(2), gf.zeros(2, 2)]), 1).tolist() == [1, np.inf]
    logs = gf.logdet(stack).tolist()
    assert logs[0] == 0
    assert np.isnan(logs[1])
    assert logs[2] == -np.inf


def test_ranks_and_tolerances(torch):
    a = np.diag([1.0, 1e-3, 1e-20])
    for options in ({}, {"atol": 1e-2}, {"rtol": 1e-2}, {"atol": 1e-30}, {"atol": 0.5, "rtol": 0.0}, {"hermitian": True}, {"tol": 2.0}):
        want, got = (t.linalg.matrix_rank(t.tensor(a), **options) for t in (torch, gf))
        assert (got.item(), got.dtype) == (want.item(), gf.int64)
    for t in (torch, gf):
        two = t.eye(3).expand(2, 3, 3)
        assert t.linalg.matrix_rank(two, rtol=t.tensor([0.1, 3.0])).tolist() == [3, 0]
        assert t.linalg.pinv(two, atol=t.tensor([0.1, 3.0])).sum((-2, -1)).tolist() == [3, 0]
    want, got = (t.linalg.lstsq(t.tensor(a), t.tensor(a), rcond=1e-2, driver="gelsd") for t in (torch, gf))
    assert got.rank.item() == want.rank.item() == 1
    np.testing.assert_allclose(got.solution.numpy(), want.solution.numpy(), atol=1e-12)


def test_a_complex_spectrum_is_refused():
    turn = gf.tensor([[0.0, 1], [-1, 0]])
    for f in (gf.linalg.eig, gf.linalg.eigvals):
        with pytest.raises(gf.errors.DTypeError, match="complex"):
            f(turn)


def test_a_singular_matrix_is_named():
    stack = gf.stack([gf.eye(2), gf.zeros(2, 2)])
    for f in (gf.linalg.inv, gf.inverse, gf.linalg.cholesky, lambda x: gf.linalg.solve(x, x), gf.linalg.lu_factor):
        with pytest.raises(gf.linalg.LinAlgError, match=r"\(Batch element 1\)"):
            f(stack)
    assert issubclass(gf.linalg.LinAlgError, RuntimeError)


def test_arguments_stay_as_they_are():
    a = regular(3, 3)
    for f in (gf.linalg.lu, gf.linalg.inv, gf.linalg.det, gf.linalg.cholesky_ex, gf.linalg.matrix_exp):
        for x in (gf.tensor(a), gf.tensor(a).mT, gf.tensor(a)[::1]):
            before = x.numpy().copy()
            f(x)
            assert (x.numpy() == before).all()


def test_out(torch):
    for t in (torch, gf):
        x, y = t.eye(3) * 2, t.empty(3, 3)
        assert t.linalg.inv(x, out=y) is y
        assert y.tolist() == (t.eye(3) / 2).tolist()
        q, r = t.empty(0), t.empty(0)
        result = t.linalg.qr(x, out=(q, r))
        assert result.Q is q
        assert q.shape == r.shape == (3, 3)
        assert t.inverse(x, out=y) is y
        assert t.linalg.norm(x, out=t.empty(())).item() == pytest.approx(12**0.5)
        for f in (t.linalg.matrix_exp, t.det, t.logdet):
            with pytest.raises(TypeError):
                f(x, out=y)


def test_names_of_arguments(torch):
    """As torch's functions take them, whatever its pages say."""
    for t in (torch, gf):
        x, v = t.eye(3), t.ones(3)
        for name in "cholesky cholesky_ex cond eigh eigvalsh matrix_exp matrix_norm matrix_rank norm pinv".split():
            getattr(t.linalg, name)(input=x)
        for name in "det diagonal inv inv_ex lu lu_factor lu_factor_ex qr slogdet svd svdvals".split():
            getattr(t.linalg, name)(A=x)
        for name in "det slogdet logdet inverse pinverse cholesky cholesky_inverse qr svd geqrf matrix_exp adjoint".split():
            getattr(t, name)(input=x)
        t.linalg.solve(A=x, B=v)
        t.linalg.solve_triangular(input=x, B=x, upper=True)
        t.linalg.lstsq(input=x, b=x)
        t.linalg.tensorsolve(input=x, other=v)
        t.linalg.tensorinv(input=x, ind=1)
        t.linalg.matrix_power(input=x, n=2)
        t.linalg.vector_norm(x=x)
        t.linalg.vecdot(x=v, y=v)
        t.linalg.cross(input=v, other=v)
        t.lu_solve(input=x, LU_data=x, LU_pivots=t.tensor([1, 2, 3], dtype=t.int32))


def test_symmetric_matrices(torch):
    a = T(3, 6, 6)
    a += a.swapaxes(-1, -2)
    a[0] -= np.diag(a[0].diagonal())  # blocks of two
    for t in (torch, gf):
        LD, pivots = t.linalg.ldl_factor(t.tensor(a))
        x = t.linalg.ldl_solve(LD, pivots, t.tensor(T(3, 6, 2) * 0 + 1))
        np.testing.assert_allclose(x.numpy(), np.linalg.solve(a, np.ones((3, 6, 2))), rtol=1e-9)
        if t is torch:
            want = LD.numpy(), pivots.numpy()
    np.testing.assert_array_equal(pivots.numpy(), want[1])
    assert (pivots.numpy() < 0).any()
    np.testing.assert_allclose(LD.numpy(), want[0], rtol=1e-9, atol=1e-12)
    assert gf.linalg.ldl_solve(LD[0], pivots[0], gf.ones(2, 6, 1, dtype=gf.float64)).shape == (2, 6, 1)
    assert gf.linalg.ldl_factor_ex(gf.zeros(2, 2)).info.item() == 1


@pytest.mark.parametrize("shape", [(20, 9), (9, 20), (2, 9, 9)])
def test_low_rank(shape):
    m, n = shape[-2:]
    a = T(*shape[:-2], m, 3) @ T(3, n)
    gf.manual_seed(0)
    U, S, V = gf.svd_lowrank(gf.tensor(a), 5)
    assert (U.shape, S.shape, V.shape) == ((*shape[:-2], m, 5), (*shape[:-2], 5), (*shape[:-2], n, 5))
    np.testing.assert_allclose(((U * S.unsqueeze(-2)) @ V.mT).numpy(), a, atol=1e-10)
    np.testing.assert_allclose(S.numpy()[..., :3], np.linalg.svd(a)[1][..., :3])
    U, S, V = gf.pca_lowrank(gf.tensor(a))
    np.testing.assert_allclose(((U * S.unsqueeze(-2)) @ V.mT).numpy(), a - a.mean(-2, keepdims=True), atol=1e-10)
    np.testing.assert_allclose(gf.svd_lowrank(gf.tensor(a), 5, M=gf.tensor(a[..., :1, :]))[1].numpy()[..., 3:], 0, atol=1e-10)
