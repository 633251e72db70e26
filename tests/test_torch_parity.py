"""The everyday core against torch: values, types, gradients, second derivatives, names, views and printing."""

import numpy as np
import pytest
from compare import same

import gradflow as gf

rng = np.random.default_rng(0)


def T(*shape):
    return rng.standard_normal(shape)


# ---- a table: value, gradient and second derivative in float64 and float32, and the node's name -------------------------

A, B, V, M = T(3, 4), T(3, 4), T(4), T(2, 3, 4)
P, U = np.abs(T(3, 4)) + 0.5, rng.uniform(-0.9, 0.9, (3, 4))
PLACES, CLASSES = rng.integers(0, 3, (3, 4)), [0, 3, 1]
CASES = {}


def case(name, f, *arrays):
    assert name not in CASES
    CASES[name] = (f, arrays)


def calls(names, space, *arrays, **kwargs):
    """``space(t).name(*tensors)`` for each name."""
    for name in names.split():
        label = " ".join([name, *(f"{k}={v}" for k, v in kwargs.items()), *(str(a.shape) for a in arrays[1:])])
        case(label, lambda t, *xs, name=name: getattr(space(t), name)(*xs, **kwargs), *arrays)


def torch_itself(t):
    return t


def functional(t):
    return t.nn.functional


calls(
    "exp expm1 exp2 sin cos tan sinh cosh tanh asinh atan erf erfc sigmoid abs sign floor ceil round frac trunc neg square relu",
    torch_itself,
    A,
)
calls("log log2 log10 log1p sqrt rsqrt reciprocal", torch_itself, P)
calls("asin acos atanh erfinv", torch_itself, U)
case("acosh", lambda t, x: t.acosh(x + 1), P)
for other in (B, V, T(3, 1), T(2, 1, 4)):
    calls("add sub mul maximum minimum atan2", torch_itself, A, other)
    calls("div", torch_itself, A, np.abs(other) + 0.5)
    case(f"power {other.shape}", lambda t, x, y: x**y, P, other)
    case(f"remainder {other.shape}", lambda t, x, y: x % y, A, np.abs(other) + 0.5)
    case(f"fmod {other.shape}", lambda t, x, y: t.fmod(x, y), A, np.abs(other) + 0.5)
case("both scalars", lambda t, x, y: x * y + x / y - y**x, np.array(1.7), np.array(0.6))
for exponent in (2, 3, 4, 0.5, -1, -2.0, 1.7, 0):
    case(f"x ** {exponent}", lambda t, x, e=exponent: x**e, P)
case("2 ** x", lambda t, x: 2**x, A)
case("x ** 0 at 0", lambda t, x: x**0, np.array([0.0, 1, 2]))
case("numbers", lambda t, x: (2 * x + 1) / 3 - x + (1 - x) * (1 / x), P)
case("alpha", lambda t, x, y: t.add(x, y, alpha=0.3) + t.sub(x, y, alpha=2), A, B)
case("one tensor twice", lambda t, x: x * x + x / x - x + x, P)
case("lerp", lambda t, x, y: t.lerp(x, y, 0.3), A, B)
case("addcmul", lambda t, x, y, z: t.addcmul(x, y, z, value=0.5), A, B, P)
case("addcdiv", lambda t, x, y, z: t.addcdiv(x, y, z, value=0.5), A, B, P)
case("where", lambda t, x, y: t.where(x > 0, x * y, y), A, V)
case("where with a number", lambda t, x: t.where(x > 0, x, 0.5), A)
case("masked_fill", lambda t, x: x.masked_fill(x > 0, 5.0), A)
case("clamp", lambda t, x: x.clamp(-0.5, 0.5), A)
case("clamp at its bounds", lambda t, x: x.clamp(0, 1), np.array([-1.0, 0, 0.5, 1, 2]))
case("clamp by tensors", lambda t, x, y: t.clamp(x, max=y), A, B)
case("to and fro", lambda t, x: x.float().double() * 2, A)
ACTIVATIONS = (
    "gelu silu elu selu celu softplus mish leaky_relu hardtanh relu6 hardswish softsign tanhshrink softshrink hardshrink logsigmoid"
)
calls(ACTIVATIONS, functional, A * 2)
calls("gelu", functional, A, approximate="tanh")
calls("elu", functional, A, alpha=0.7)
calls("leaky_relu", functional, A, negative_slope=0.2)
calls("softplus", functional, A, beta=2.0)
case("prelu", lambda t, x, w: t.nn.functional.prelu(x, w), A, T(4))

for options in ({}, {"dim": 0}, {"dim": 1, "keepdim": True}, {"dim": (0, 1)}, {"dim": -1}, {"dim": (1,), "keepdim": True}):
    calls("sum mean var std amax amin norm nansum", torch_itself, A, **options)
    calls("logsumexp", torch_itself, A, **({"dim": -2} | options))
calls("var std", torch_itself, M, correction=0)
calls("var std", torch_itself, M, dim=1, unbiased=False)
for p in (0, 1, 2, 3, 0.5, float("inf"), -float("inf")):
    case(f"norm of order {p}", lambda t, x, p=p: t.norm(x, p) + t.norm(x, p, 1).sum(), A)
case("norm at 0", lambda t, x: t.norm(x * 0), A)
case("prod", lambda t, x: t.prod(x) + t.prod(x, 1).sum(), A)
case("prod with a zero", lambda t, x: t.prod(x), np.array([1.0, 3, 0, 2]))
case("prod with zeros", lambda t, x: t.prod(x), np.array([1.0, 0, 0, 2]))
case("max, all", lambda t, x: t.max(x), A)
case("max, ties", lambda t, x: t.max(x), np.array([1.0, 3, 3]))
case("max, along", lambda t, x: t.max(x, 1)[0], A)
case("min, along", lambda t, x: t.min(x, 0, keepdim=True).values, A)
case("amax, ties", lambda t, x: t.amax(x, 0), np.array([[1.0, 3], [1, 2]]))
for dim in (0, 1, -1):
    calls("softmax log_softmax", torch_itself, M, dim=dim)
    calls("softmin", functional, M, dim=dim)
case("softmax of large numbers", lambda t, x: t.softmax(x * 1000, 1), A)

for left, right in (
    ((3, 4), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4, 3)),
    ((4,), (4,)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
):
    case(f"{left} @ {right}", lambda t, x, y: x @ y, T(*left), T(*right))
for left, right in (((3, 3), (5, 2, 3, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)), ((1, 3, 4), (5, 4, 2)), ((2, 1, 3, 4), (5, 4, 2))):
    case(f"{left} @ {right}", lambda t, x, y: x @ y, T(*left), T(*right))
case("x @ x.T", lambda t, x: x @ x.T, A)
case("v . v", lambda t, x: t.dot(x, x), V)
case("mm", lambda t, x, y: t.mm(x, y), A, T(4, 2))
case("mv", lambda t, x, y: t.mv(x, y), A, V)
case("bmm", lambda t, x, y: t.bmm(x, y), M, T(2, 4, 2))
case("outer", lambda t, x, y: t.outer(x, y), V, T(3))
case("addmm", lambda t, x, a, b: t.addmm(x, a, b, beta=0.5, alpha=2), T(3, 5), A, T(4, 5))
case("baddbmm", lambda t, x, a, b: t.baddbmm(x, a, b, beta=0.5, alpha=2), T(2, 3, 5), M, T(2, 4, 5))
for x in (A, M, V):
    case(f"linear {x.shape}", lambda t, x, w, b: t.nn.functional.linear(x, w, b), x, T(5, 4), T(5))
    case(f"linear without bias {x.shape}", lambda t, x, w: t.nn.functional.linear(x, w), x, T(5, 4))

case("reshape", lambda t, x: x.reshape(4, -1) * 2, A)
case("reshape of a transpose", lambda t, x: x.t().reshape(2, 6), A)
case("view", lambda t, x: x.view(2, 6), A)
case("permute", lambda t, x: x.permute(2, 0, 1), M)
case("transpose", lambda t, x: x.transpose(0, 2), M)
case("T", lambda t, x: x.T, A)
case("t", lambda t, x: x.t(), A)
case("mT", lambda t, x: x.mT, M)
case("expand", lambda t, x: x.expand(5, 3, 4), T(3, 1))
case("unsqueeze", lambda t, x: x.unsqueeze(1), A)
case("squeeze", lambda t, x: x.squeeze(), T(3, 1, 2, 1))
case("squeeze one", lambda t, x: x.squeeze(1), T(3, 1, 2))
case("flatten", lambda t, x: x.flatten(1), M)
case("unflatten", lambda t, x: x.unflatten(1, (2, -1)), A)
case("movedim", lambda t, x: t.movedim(x, 0, 2), M)
case("diagonal", lambda t, x: x.diagonal(1), A)
case("contiguous", lambda t, x: x.t().contiguous(), A)
case("clone", lambda t, x: x.clone(), A)
case("narrow", lambda t, x: x.narrow(1, 1, 2), A)
case("select", lambda t, x: x.select(1, 2), A)
case("tril", lambda t, x: t.tril(x, -1), A)
case("triu", lambda t, x: t.triu(x), A)
case("cat", lambda t, x, y: t.cat([x, y * 2], 1), A, B)
case("stack", lambda t, x, y: t.stack([x, y], 1), A, B)
case("hstack and vstack", lambda t, x, y: t.hstack([x, y]).sum(0).sum() * t.vstack([x, y]), A, B)
case("split", lambda t, x: sum(piece.sum() * i for i, piece in enumerate(x.split([1, 3], 1))), A)
case("chunk", lambda t, x: x.chunk(2, 1)[1], A)
case("unbind", lambda t, x: x.unbind(1)[2] * x.unbind(0)[0].sum(), A)
case("repeat", lambda t, x: x.repeat(2, 1, 3), A)
case("broadcast_to", lambda t, x: t.broadcast_to(x, (2, 3, 4)), V)

case("x[0]", lambda t, x: x[0], A)
case("x[1:, ::2]", lambda t, x: x[1:, ::2], A)
case("x[None, ..., 1]", lambda t, x: x[None, ..., 1], A)
case("x[-1, -2:]", lambda t, x: x[-1, -2:], A)
case("x[tensor]", lambda t, x: x[t.tensor([0, 0, 2])], A)
case("x[mask]", lambda t, x: x[x > 0], A)
case("x[mask of rows]", lambda t, x: x[t.tensor([True, False, True])], A)
case("x[tensor, tensor]", lambda t, x: x[t.tensor([0, 0, 2]), t.tensor([1, 1, 3])], A)
case("x[:, tensor]", lambda t, x: x[:, t.tensor([1, 1])], A)
case("x[0, :, tensor]", lambda t, x: x[0, :, t.tensor([1, 1])], M)
case("x[:, 0, tensor]", lambda t, x: x[:, 0, t.tensor([1, 1])], M)
case("x[tensor, :, tensor]", lambda t, x: x[t.tensor([0, 1]), :, t.tensor([1, 1])], M)
case("x[list]", lambda t, x: x[[0, 2]], A)
case("gather", lambda t, x: t.gather(x, 0, t.tensor(PLACES)), A)
case("index_select", lambda t, x: t.index_select(x, 1, t.tensor([0, 0, 3])), A)
case("take_along_dim", lambda t, x: t.take_along_dim(x, t.tensor(PLACES[:, :1]), 1), A)
case("masked_select", lambda t, x: t.masked_select(x, x > 0), A)
case("embedding", lambda t, w: t.nn.functional.embedding(t.tensor([[0, 1], [1, 2]]), w, padding_idx=2), A)


def changed(f):
    """A case that changes a computed tensor in place."""

    def run(t, x, *rest):
        z = x * 1
        f(t, z, *rest)
        return z

    return run


case("z[:, 0] = y", changed(lambda t, z, y: z.__setitem__((slice(None), 0), y)), A, T(3))
case("z[tensor] = y", changed(lambda t, z, y: z.__setitem__(t.tensor([0, 2]), y)), A, T(2, 4))
case("z[mask] = number", changed(lambda t, z: z.__setitem__(z > 0, 2.0)), A)
case("in place", changed(lambda t, z, y: z.mul_(y).add_(1).div_(2).sub_(y).exp_()), A, B)
case("zero_ and copy_", changed(lambda t, z, y: z.zero_().copy_(y).add_(y)), A, V)

for options in (
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"ignore_index": 3},
    {"label_smoothing": 0.1},
    {"label_smoothing": 0.1, "ignore_index": 1},
):
    case(f"cross_entropy {options}", lambda t, x, o=options: t.nn.functional.cross_entropy(x, t.tensor(CLASSES), **o), A)
case(
    "cross_entropy, weighted",
    lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(CLASSES), weight=t.tensor([1.0, 2, 3, 4], dtype=x.dtype)),
    A,
)
case("cross_entropy, images", lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([[0, 1, 2, 0], [1, 1, 2, 2]])), M)
case("cross_entropy, probabilities", lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(P / P.sum(1, keepdims=True), dtype=x.dtype)), A)
case("cross_entropy, one sample", lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(1)), V)
case("nll_loss", lambda t, x: t.nn.functional.nll_loss(x, t.tensor(CLASSES)), A)
case("mse_loss", lambda t, x, y: t.nn.functional.mse_loss(x, y), A, B)
case("logits", lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x, t.tensor((A > 0).astype(float), dtype=x.dtype)), A)
case("layer_norm", lambda t, x, w, b: t.nn.functional.layer_norm(x, (4,), w, b), M, T(4), T(4))
case("layer_norm, two axes", lambda t, x, w, b: t.nn.functional.layer_norm(x, (3, 4), w, b), M, T(3, 4), T(3, 4))
case("layer_norm, plain", lambda t, x: t.nn.functional.layer_norm(x, (4,)), M)


@pytest.mark.parametrize("name", CASES)
def test_values_gradients_and_second_derivatives(torch, name):
    f, arrays = CASES[name]
    same(torch, f, arrays)


@pytest.mark.parametrize("name", CASES)
def test_in_float32(torch, name):
    f, arrays = CASES[name]
    same(torch, f, [np.asarray(a, np.float32) for a in arrays], rtol=3e-4, atol=3e-4)


# Nodes that go under another name: torch shows its own way of composing them.
OTHER_NAMES = (
    "@ (4, 3)", "@ (2, 4, 5)", "@ (5, 2, 3, 2)", "@ (5, 4, 2)", "linear", "reshape of a transpose", "z[", "images", "probabilities", "mse_loss", "logits",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CASES if not any(part in name for part in OTHER_NAMES)])
def test_names_of_nodes(torch, name):
    f, arrays = CASES[name]
    names = [f(t, *(t.tensor(a, requires_grad=True) for a in arrays)).grad_fn.name() for t in (torch, gf)]
    assert names[0] == names[1]


ONCE = {  # torch has no second derivative, or a worse one
    "0 ** y": (lambda t, y: 0.0**y, np.array([0.5, 1, 2])),
    "hardsigmoid": (lambda t, x: t.nn.functional.hardsigmoid(x), A * 4),
    "lgamma": (lambda t, x: t.lgamma(x), P),
    "digamma": (lambda t, x: t.digamma(x.detach()) * x, P),
}


@pytest.mark.parametrize("name", ONCE)
def test_first_derivatives(torch, name):
    f, array = ONCE[name]
    results = []
    for t in (torch, gf):
        x = t.tensor(array, requires_grad=True)
        y = f(t, x)
        y.sum().backward()
        results.append((y.detach().numpy(), x.grad.numpy()))
    for want, got in zip(*results):
        np.testing.assert_allclose(got, want, rtol=1e-7)
