"""PyTorch's own database of operations: its samples through gradflow and torch; results, dtypes and gradients agree.

What is not there is listed, too.
"""

import itertools
import random
import re

import numpy as np
import pytest

import gradflow as gf

TOLERANCE = {"float16": 2e-2, "bfloat16": 6e-2, "float32": 3e-4, "float64": 1e-7}

# Tensors of complex numbers, of sparse and quantized layouts, and torch's internals do not exist here.
OUTSIDE = (
    r"fft|stft|sparse|complex|polar|chalf|cfloat|cdouble|as_real|quant|jiterator|nested|to_sparse|resolve_|imag|conj|ops\.|^_|masked\.|"
    r"unsafe|fbgemm|segment_reduce|geqrf|householder|ormqr|ldl|pstrf|hash_tensor|empty_permuted|chunk_cat|lowrank|linalg.eig$|histogramdd|"
    r"batch_norm_|native_|^torch\.|max_pool2d_with_indices_backward|grid_sampler_"
)
# Results that are random, or not unique (signs of singular vectors, order of equal elements): their shapes and dtypes are compared.
ANY_VALUE = (
    r"rand|normal|bernoulli|multinomial|uniform|cauchy|exponential|geometric|empty|dropout|rrelu|svd|eig|qr$|\.lu|^lu|lstsq|"
    r"gumbel|fractional|pinv.singular|resize_|topk|kthvalue|mode|multi_head_attention|scaled_dot"
)
DIFFERENT = {
    "as_strided": "the samples are views of memory that copies do not have",
    "as_strided_scatter": "the same",
    "nn.functional.triplet_margin_with_distance_loss": "a sample holds a module of torch's",
    "special.bessel_j0": "torch has seven digits in places",
    **dict.fromkeys(("special.bessel_j1", "special.bessel_y0", "special.bessel_y1", "special.airy_ai"), "the same, and nan in places"),
    "nn.functional.local_response_norm": "torch takes integers, too",
    "nextafter": "torch's derivative raises; here there is none",
    "sgn": "torch's zeros without memory",
    "cholesky_solve": "only the triangle that is read gets a gradient",
    "cholesky_inverse": "the same",
    "linalg.pinv singular": "the database computes it from products",
    "linalg.lstsq grad_oriented": "the database picks results",
}
ROUGH = ("logcumsumexp", "nn.functional.ctc_loss")  # gradients that cancel
# Not built.
MISSING = r"^nn\.functional\.(fractional_max|grid_sample|linear_cross_entropy)|^signal\.windows|^slice$"


# The database gives these their arguments in another order than torch's function of the name takes them.
ORDER = {
    "polygamma": lambda x, n: (n, x),
    "special.polygamma": lambda x, n: (n, x),
    "where": lambda x, condition, other: (condition, x, other),
    "nn.functional.embedding": lambda weight, index: (index, weight),
    "einsum": lambda tensors, equation: (equation, tensors),
}
# It changes copies of the arguments of these.
IN_PLACE = ("zero_", "fill", "normal")
METHODS = {"normal in_place": "normal_"}


def matches(pattern, name):
    return re.search(pattern, name) is not None


def database():
    return __import__("torch.testing._internal.common_methods_invocations", fromlist=["op_db"]).op_db


def found(name):
    """gradflow's function of that name; for some, the method."""
    place = gf
    for part in name.split("."):
        place = getattr(place, part, None)
    if callable(place) and not isinstance(place, type | gf.dtype):
        return place
    if isinstance(getattr(gf.Tensor, name, None), property):
        return lambda x: getattr(x, name)
    return getattr(gf.Tensor, name, None) or getattr(gf.Tensor, name + "_", None)


class Unsupported(Exception):
    """An argument that cannot be had here."""


def ours(torch, x):
    """An argument of torch's as one of gradflow's, with the same strides."""
    if isinstance(x, torch.Tensor):
        name = str(x.dtype).removeprefix("torch.")
        if x.layout is not torch.strided or not hasattr(gf, name) or x.dtype.is_complex:
            raise Unsupported(name)
        values = x.detach().float().numpy() if name == "bfloat16" else x.detach().numpy()
        return gf.from_numpy(np.copy(values, order="K")).to(getattr(gf, name)).requires_grad_(x.requires_grad)
    if isinstance(x, torch.dtype | torch.layout | torch.memory_format):
        name = str(x).removeprefix("torch.")
        if not hasattr(gf, name):
            raise Unsupported(name)
        return getattr(gf, name)
    if isinstance(x, torch.Generator | complex):
        raise Unsupported(str(x))
    if isinstance(x, torch.device):
        return gf.device(str(x))
    if isinstance(x, torch.Size):
        return tuple(x)
    if isinstance(x, list | tuple):
        return type(x)(ours(torch, item) for item in x)
    if isinstance(x, dict):
        return {key: ours(torch, item) for key, item in x.items()}
    return x


def leaves(x):
    if isinstance(x, list | tuple):
        return [leaf for item in x for leaf in leaves(item)]
    if isinstance(x, dict):
        return leaves(list(x.values()))
    return [] if x is None else [x]


def numbers(x):
    if hasattr(x, "detach"):
        x = x.detach()
        x = x.float() if str(x.dtype).endswith("bfloat16") else x
        return x.numpy()
    return np.asarray(x)


def difference(want, got, dtype, values=True, rough=1):
    """What differs between torch's result and ours, or None."""
    want, got = leaves(want), leaves(got)
    if len(want) != len(got):
        return f"{len(got)} results, torch {len(want)}"
    for k, (w, g) in enumerate(zip(want, got, strict=True)):
        if hasattr(w, "dtype"):
            if not isinstance(g, gf.Tensor):
                return f"result {k} is {type(g)}"
            if tuple(w.shape) != tuple(g.shape) or str(w.dtype) != str(g.dtype):
                return f"result {k}: {tuple(g.shape)} {g.dtype}, torch {tuple(w.shape)} {w.dtype}"
        tolerance = rough * TOLERANCE.get(dtype, 3e-4)
        a, b = numbers(w).astype(float), numbers(g).astype(float)
        size = np.abs(a[np.isfinite(a)]).max(initial=1)
        if values and not np.allclose(a, b, rtol=tolerance, atol=0.1 * tolerance * size, equal_nan=True):
            return f"result {k}: {b.ravel()[:5]}, torch {a.ravel()[:5]}"
    return None


def problem(torch, op, function, sample, dtype):
    """What goes wrong with one sample, or None."""
    try:
        arguments = ours(torch, [sample.input, *sample.args]), ours(torch, sample.kwargs)
        want = op.op(sample.input, *sample.args, **sample.kwargs)
    except (Unsupported, RuntimeError):
        return None
    results = [w for w in leaves(want) if isinstance(w, torch.Tensor)]
    if any(w.is_complex() or w.layout is not torch.strided for w in results):
        return None
    try:
        given = ORDER.get(op.name, lambda *a: a)(*arguments[0])
        if op.name in IN_PLACE and isinstance(given[0], gf.Tensor):
            given = (given[0].clone(), *given[1:])
        got = function(*given, **arguments[1])
        free = matches(ANY_VALUE, op.name)
        wrong = difference(want, got, dtype, values=not free)
        if wrong or free:
            return wrong
        ours_out = [g for g in leaves(got) if isinstance(g, gf.Tensor) and g.requires_grad]
        torchs_out = [w for w in results if w.requires_grad]
        if len(ours_out) != len(torchs_out):
            return f"{len(ours_out)} results require a gradient, torch {len(torchs_out)}"
        inputs = [x for x in leaves([sample.input, sample.args, sample.kwargs]) if isinstance(x, torch.Tensor) and x.requires_grad]
        our_inputs = [x for x in leaves(arguments) if isinstance(x, gf.Tensor) and x.requires_grad]
        if not torchs_out or not inputs:
            return None
        seeds = [torch.randn(w.shape, dtype=torch.float64).to(w.dtype) for w in torchs_out]
        gradients = torch.autograd.grad(torchs_out, inputs, seeds, allow_unused=True)
        for w, g in zip(gradients, gf.autograd.grad(ours_out, our_inputs, ours(torch, seeds), allow_unused=True), strict=True):
            if w is None or g is None:
                rest = g if w is None else w
                if rest is not None and np.any(numbers(rest)):
                    return "one has no gradient, the other is not zero"
                continue
            wrong = difference(w, g, dtype, rough=50 if op.name in ROUGH else 1)
            if wrong:
                return f"gradient: {wrong}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def shown(sample):
    def brief(x):
        return f"{tuple(x.shape)}" if hasattr(x, "shape") else str(x)

    return ", ".join([brief(sample.input), *map(brief, sample.args), *(f"{k}={brief(v)}" for k, v in sample.kwargs.items())])[:200]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.filterwarnings("ignore")
def test_torchs_samples_give_torchs_results(torch, dtype):
    problems = []
    for op in database():
        name = f"{op.name} {op.variant_test_name}".strip()
        function = None if matches(OUTSIDE, op.name) or {op.name, name} & set(DIFFERENT) else found(METHODS.get(name, op.name))
        kind = getattr(torch, dtype)
        if function is None or kind not in op.dtypes:
            continue
        torch.manual_seed(0)
        random.seed(0)
        differentiable = kind.is_floating_point and op.supports_autograd
        for sample in itertools.islice(op.sample_inputs_func(op, "cpu", kind, differentiable), 0, 40, 8):
            wrong = problem(torch, op, function, sample, dtype)
            if wrong:
                problems.append(f"{name}({shown(sample)}): {wrong[:300]}")
                break
    assert not problems, f"{len(problems)} operations:\n" + "\n".join(problems)


def test_nothing_else_is_missing(torch):
    missing = {op.name for op in database() if not matches(OUTSIDE, op.name) and found(op.name) is None}
    assert not {name for name in missing if not matches(MISSING, name)}
