"""How transforms are called: aux, argnums, trees, axes, randomness, chunks, strictness and what is refused, with gradflow and with torch."""

import pytest
from side_by_side import agree

import gradflow as gf

CASES = {}


def case(name, program):
    CASES[name] = program


def vector(t):
    return t.tensor([0.5, 1.0, 2.0], dtype=t.float64)


case(
    "vg aux argnums",
    lambda t: t.func.grad_and_value(lambda a, b: ((a * b).sum(), {"k": a + 1}), argnums=(0, 1), has_aux=True)(vector(t), vector(t)),
)
case("grad argnums neg", lambda t: t.func.grad(lambda a, b: (a * b * b).sum(), argnums=-1)(vector(t), vector(t)))
case("grad kwargs", lambda t: t.func.grad(lambda a, b=None: (a * b).sum())(vector(t), b=vector(t)))
case("grad dict", lambda t: t.func.grad(lambda p: (p["w"] * p["b"][0]).sum())({"w": vector(t), "b": [vector(t)]}))
case("jacrev dict out", lambda t: t.func.jacrev(lambda p: {"y": p["w"] * 2, "z": p["w"].sum()})({"w": vector(t)}))
case("jacrev argnums", lambda t: t.func.jacrev(lambda a, b: (a * b, a.sum()), argnums=(0, 1))(vector(t), vector(t)))
case("jacrev aux", lambda t: t.func.jacrev(lambda a: (a * 2, a.sum()), has_aux=True)(vector(t)))
case("jacrev chunk1", lambda t: t.func.jacrev(lambda a: a.outer(a), chunk_size=1)(vector(t)))
case("jacfwd argnums", lambda t: t.func.jacfwd(lambda a, b: (a * b, a.sum()), argnums=(0, 1))(vector(t), vector(t)))
case("jacfwd aux", lambda t: t.func.jacfwd(lambda a: (a * 2, a.sum()), has_aux=True)(vector(t)))
case("jacfwd rand", lambda t: t.func.jacfwd(lambda a: a * 2, randomness="x")(vector(t)))
case("hessian argnums", lambda t: t.func.hessian(lambda a, b: (a * b * b).sum(), argnums=(0, 1))(vector(t), vector(t)))
case("hessian dict", lambda t: t.func.hessian(lambda p: (p["w"] ** 3).sum())({"w": vector(t)}))
case(
    "vjp aux",
    lambda t: (lambda r: (r[0], r[1](t.ones(3, dtype=t.float64)), r[2]))(t.func.vjp(lambda a: (a * 2, a + 1), vector(t), has_aux=True)),
)
case("jvp aux", lambda t: t.func.jvp(lambda a: (a * 2, a + 1), (vector(t),), (vector(t),), has_aux=True))
case("jvp strict", lambda t: t.func.jvp(lambda a: t.ones(2), (vector(t),), (vector(t),), strict=True))
case("jvp not tuple", lambda t: t.func.jvp(lambda a: a, vector(t), vector(t)))
case("jvp tangent int", lambda t: t.func.jvp(lambda a: a, (vector(t),), (t.ones(3, dtype=t.int64),)))
case("linearize", lambda t: (lambda o, f: (o, f(t.ones(3, dtype=t.float64))))(*t.func.linearize(lambda a: a.sin(), vector(t))))
case(
    "vmap dict in_dims",
    lambda t: t.func.vmap(lambda p, k: p["a"] * p["b"] + k, in_dims=({"a": 0, "b": None}, None))({"a": vector(t), "b": vector(t)[0]}, 2),
)
case("vmap list in_dims", lambda t: t.func.vmap(lambda pair: pair[0] * pair[1], in_dims=([0, 1],))([t.ones(2, 3), t.ones(3, 2)]))
case("vmap out_dims tuple", lambda t: t.func.vmap(lambda a: (a, a.sum()), out_dims=(1, 0))(t.ones(2, 3)))
case("vmap out none", lambda t: t.func.vmap(lambda a, b: (a, b * 2), in_dims=(0, None), out_dims=(0, None))(t.ones(2, 3), vector(t)))
case("vmap neg", lambda t: t.func.vmap(lambda a: a * 2, in_dims=-1, out_dims=-1)(t.arange(6.0).reshape(2, 3)))
case("vmap chunk", lambda t: t.func.vmap(lambda a: a * 2, chunk_size=2)(t.arange(15.0).reshape(5, 3)))
case("vmap chunk0", lambda t: t.func.vmap(lambda a: a * 2, chunk_size=0)(t.arange(15.0).reshape(5, 3)))
case("vmap rand err", lambda t: t.func.vmap(lambda a: a + t.rand(3))(t.ones(2, 3)))
case(
    "vmap rand same",
    lambda t: (lambda r: bool((r[0] == r[1]).all()))(t.func.vmap(lambda a: a + t.rand(3), randomness="same")(t.ones(2, 3))),
)
case(
    "vmap rand diff",
    lambda t: (lambda r: bool((r[0] == r[1]).all()))(t.func.vmap(lambda a: a + t.rand(3), randomness="different")(t.ones(2, 3))),
)
case("vmap dropout", lambda t: t.func.vmap(lambda a: t.nn.functional.dropout(a, 0.5))(t.ones(2, 3)))
case("vmap item", lambda t: t.func.vmap(lambda a: a.sum().item())(t.ones(2, 3)))
case("vmap if", lambda t: t.func.vmap(lambda a: a if a.sum() > 0 else -a)(t.ones(2, 3)))
case("vmap nonzero", lambda t: t.func.vmap(lambda a: a.nonzero())(t.ones(2, 3)))
case("vmap kw", lambda t: t.func.vmap(lambda a, b=1: a * b)(t.ones(2, 3), b=2))
case("vmap kw tensor", lambda t: t.func.vmap(lambda a, b=1: a * b)(t.ones(2, 3), b=t.ones(2, 3)))
case("vmap no args", lambda t: t.func.vmap(lambda: t.ones(2))())
case("vmap sizes", lambda t: t.func.vmap(lambda a, b: a)(t.ones(2), t.ones(3)))
case("vmap none all", lambda t: t.func.vmap(lambda a: a, in_dims=None)(t.ones(2)))
case("vmap none tuple", lambda t: t.func.vmap(lambda a: a, in_dims=(None,))(t.ones(2)))
case("vmap nontensor ret", lambda t: t.func.vmap(lambda a: 3)(t.ones(2)))
case("vmap int arg", lambda t: t.func.vmap(lambda a: a)(3))
case("vmap inplace unb", lambda t: t.func.vmap(lambda a, b: b.add_(a), in_dims=(0, None))(t.ones(2, 3), t.ones(3)))
case(
    "vmap nested",
    lambda t: t.func.vmap(t.func.vmap(lambda a, b: a @ b, (None, 0)), (0, None))(t.arange(6.0).reshape(2, 3), t.arange(12.0).reshape(4, 3)),
)
case("vmap 0", lambda t: t.func.vmap(lambda a: a * 2)(t.ones(0, 3)))
case("grad nonscalar", lambda t: t.func.grad(lambda a: a)(vector(t)))
case("grad int", lambda t: t.func.grad(lambda a: a.sum())(t.ones(2, dtype=t.int64)))
case("grad float arg", lambda t: t.func.grad(lambda a: a * 2)(3.0))
case("grad none out", lambda t: t.func.grad(lambda a: None)(vector(t)))
case("grad no tensors", lambda t: t.func.grad(lambda a: t.ones(()))(vector(t)))
case("grad argnums str", lambda t: t.func.grad(lambda a: a.sum(), argnums="0")(vector(t)))
case("grad argnums out", lambda t: t.func.grad(lambda a: a.sum(), argnums=3)(vector(t)))
case("grad argnums dup", lambda t: t.func.grad(lambda a, b: a.sum(), argnums=(0, 0))(vector(t), vector(t)))
case("grad aux wrong", lambda t: t.func.grad(lambda a: a.sum(), has_aux=True)(vector(t)))
case("jacrev int out", lambda t: t.func.jacrev(lambda a: a.long())(vector(t)))
case("jacrev nontensor out", lambda t: t.func.jacrev(lambda a: 3)(vector(t)))
case("inside no_grad", lambda t: t.no_grad()(lambda: t.func.grad(lambda a: (a**2).sum())(vector(t)))())
case("no_grad inside", lambda t: t.func.grad(lambda a: (t.no_grad()(lambda: a * 2)() * a).sum())(vector(t)))
case("detach inside", lambda t: t.func.grad(lambda a: (a.detach() * a).sum())(vector(t)))
case(
    "backward of func.grad",
    lambda t: (lambda x: (t.func.grad(lambda a: (a**3).sum())(x).sum().backward(), x.grad)[1])(vector(t).requires_grad_()),
)
case("autograd.grad in func", lambda t: t.func.grad(lambda a: t.autograd.grad((a**3).sum(), a, create_graph=True)[0].sum())(vector(t)))
case("requires_grad_ in func", lambda t: t.func.grad(lambda a: (a * a.sum()).sum())(vector(t)))
case("functional.jac", lambda t: t.autograd.functional.jacobian(lambda a, b: (a * b, a.sum()), (vector(t), vector(t))))
case(
    "functional.jac cg",
    lambda t: t.autograd.functional.jacobian(lambda a: a**2, vector(t).requires_grad_(), create_graph=True).requires_grad,
)
case("functional.jac strict", lambda t: t.autograd.functional.jacobian(lambda a: t.ones(2), vector(t), strict=True))
case("functional.jac strict ok", lambda t: t.autograd.functional.jacobian(lambda a: t.ones(2), vector(t)))
case("functional.hess", lambda t: t.autograd.functional.hessian(lambda a, b: (a**2 * b).sum(), (vector(t), vector(t))))
case("functional.hess nonscalar", lambda t: t.autograd.functional.hessian(lambda a: a**2, vector(t)))
case(
    "functional.hess ojs",
    lambda t: t.autograd.functional.hessian(lambda a: (a**3).sum(), vector(t), outer_jacobian_strategy="forward-mode", vectorize=True),
)
case("functional.hvp", lambda t: t.autograd.functional.hvp(lambda a: (a**3).sum(), vector(t), vector(t)))
case("functional.vhp none", lambda t: t.autograd.functional.vhp(lambda a: (a**3).sum(), vector(t)))
case("functional.vjp none", lambda t: t.autograd.functional.vjp(lambda a: a.sum(), vector(t)))
case("functional.vjp none2", lambda t: t.autograd.functional.vjp(lambda a: a * 2, vector(t)))
case("functional.vjp size", lambda t: t.autograd.functional.vjp(lambda a: a * 2, vector(t), t.ones(2)))
case("functional.jvp", lambda t: t.autograd.functional.jvp(lambda a: (a * 2, a.sum()), vector(t), vector(t)))
case("functional.jvp strict", lambda t: t.autograd.functional.jvp(lambda a: t.ones(2), vector(t), vector(t), strict=True))
case("functional bad out", lambda t: t.autograd.functional.jacobian(lambda a: 3, vector(t)))
case("functional bad in", lambda t: t.autograd.functional.jacobian(lambda a: a, 3))
case("functional bad in2", lambda t: t.autograd.functional.jacobian(lambda a: a, (vector(t), 3)))
case("functional bad strategy", lambda t: t.autograd.functional.jacobian(lambda a: a, vector(t), strategy="x"))


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("name", CASES)
def test_as_torch(torch, name):
    agree(CASES[name], gf, torch)
