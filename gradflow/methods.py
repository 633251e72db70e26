"""Tensor's methods and operators: the functions of ``ops`` under their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constructors, creation, drawing, dtypes
from .errors import DTypeError, GradError
from .free import CREATING, along, free
from .kinds.direct import before, direct
from .kinds.formulas import REGISTRY
from .ops import (
    activations,
    arranging,
    calculus,
    contractions,
    convert,
    copies,
    distances,
    distributions,
    extremes,
    gamma,
    gathering,
    indexing,
    inplace,
    joining,
    matrix_functions,
    notation,
    numbers,
    older_linalg,
    operators,
    placing,
    pointwise,
    products,
    random,
    rearranging,
    reductions,
    rowwise,
    scans,
    scattering,
    sharing,
    sorting,
    stacking,
    striding,
    vector_norms,
    views,
)
from .ops.arguments import at_fault, checked
from .tensor import Tensor


def aliases(function: Callable) -> Callable:
    """``axis`` and ``keepdims``, NumPy's words, beside ``dim`` and ``keepdim``."""

    def call(*args: Any, axis: Any = None, keepdims: Any = None, **kwargs: Any) -> Any:
        if axis is not None:
            kwargs["dim"] = axis
        if keepdims is not None:
            kwargs["keepdim"] = keepdims
        try:
            return function(*args, **kwargs)
        except Exception as error:
            fault = at_fault(call.__name__, function, args, kwargs, error)
            if fault is None:
                raise
        raise fault

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__, call.__module__ = function.__doc__, function.__module__
    call.__dict__["__wrapped__"] = function
    return before(function, call)


PLAIN = {
    pointwise: "pow floor_divide remainder fmod neg clamp round addcmul addcdiv square isclose allclose equal where",
    activations: "relu prelu",
    reductions: "sum mean var std var_mean std_mean prod any all count_nonzero nansum nanmean",
    vector_norms: "norm",
    extremes: "max min amax amin aminmax argmax argmin",
    rowwise: "logsumexp",
    views: """reshape permute transpose t movedim expand_as unsqueeze squeeze flatten unflatten ravel diagonal narrow select
        broadcast_to clone""",
    joining: "split chunk unbind",
    indexing: "masked_fill masked_select nonzero",
    gathering: "gather index_select take_along_dim",
    striding: "as_strided",
    rearranging: "flip fliplr flipud roll rot90 tile repeat_interleave diag diag_embed tril triu trace take",
    stacking: "tensor_split hsplit vsplit",
    scans: "cumsum cumprod logcumsumexp cummax cummin diff",
    sorting: """sort argsort msort topk kthvalue median nanmedian mode quantile nanquantile unique unique_consecutive bincount histc""",
    scattering: "scatter scatter_add scatter_reduce index_add index_copy index_fill",
    placing: "index_put masked_scatter put",
    contractions: "inner vdot addmv addr addbmm kron cross cov corrcoef",
    distances: "dist",
    products: "matmul mm mv dot bmm outer addmm baddbmm",
    matrix_functions: "matrix_exp matrix_power",
    older_linalg: """det slogdet logdet inverse pinverse cholesky cholesky_solve cholesky_inverse qr svd lu_solve triangular_solve
        geqrf ormqr adjoint""",
    drawing: "bernoulli multinomial",
    arranging: """diagflat dsplit sum_to_size fill renorm index_reduce argwhere nonzero_static narrow_copy pixel_shuffle pixel_unshuffle
        channel_shuffle""",
    calculus: "histogram",
    copies: "slice_scatter select_scatter diagonal_scatter as_strided_scatter split_with_sizes",
    numbers: "clamp_max clamp_min float_power frexp gcd heaviside i0 lcm logit nan_to_num nextafter positive real sgn",
    gamma: "mvlgamma",
}

SPELLINGS: dict[str, Callable] = {
    "add": pointwise.scaled_add,
    "sub": pointwise.scaled_sub,
    "subtract": pointwise.scaled_sub,
    "mul": pointwise.mul,
    "multiply": pointwise.mul,
    "div": pointwise.true_divide,
    "divide": pointwise.true_divide,
    "true_divide": pointwise.true_divide,
    "absolute": pointwise.abs,
    "negative": pointwise.neg,
    "arccos": pointwise.acos,
    "arcsin": pointwise.asin,
    "arctan": pointwise.atan,
    "arctan2": pointwise.atan2,
    "arccosh": pointwise.acosh,
    "arcsinh": pointwise.asinh,
    "arctanh": pointwise.atanh,
    "clip": pointwise.clamp,
    "fix": pointwise.trunc,
    "greater": pointwise.gt,
    "greater_equal": pointwise.ge,
    "less": pointwise.lt,
    "less_equal": pointwise.le,
    "not_equal": pointwise.ne,
    "ger": products.outer,
    "orgqr": older_linalg.householder_product,
    "moveaxis": views.movedim,
    "swapaxes": views.swapaxes,
    "swapdims": views.transpose,
    "unsafe_chunk": aliases(joining.chunk),
    "unsafe_split": aliases(joining.split),
    "unsafe_split_with_sizes": copies.split_with_sizes,
    "hardshrink": activations.hardshrink,
    "rsub": pointwise.scaled_rsub,
}

REDUCING = frozenset(
    """
    sum mean var std cumsum cumprod logcumsumexp cummax cummin sort argsort median unique var_mean std_mean prod max min amax amin
    argmax argmin any all count_nonzero norm logsumexp squeeze unsqueeze chunk unbind select narrow
    """.split()
)


# Methods that do so much that asking for the fault of a failed call costs nothing to speak of.
SLOW = frozenset(" ".join(names for m, names in PLAIN.items() if m not in (pointwise, activations, views, joining, products)).split())

# An elementwise operation says itself that it is public.
PUBLIC: dict[str, Callable] = {name: call for name, call in REGISTRY.items() if hasattr(call, "op") and call.op.public}


def function_table() -> dict[str, Callable]:
    """The functions that are both ``gradflow.name(x, ...)`` and ``x.name(...)``."""
    table: dict[str, Callable] = dict(PUBLIC)
    for module, names in PLAIN.items():
        for name in names.split():
            function = getattr(module, name)
            table[name] = aliases(function) if name in REDUCING else function
    table |= {f.__name__: along(f) for f in (rowwise.softmax, rowwise.log_softmax)}
    return table | SPELLINGS | sharing.FUNCTIONS


FUNCTIONS: dict[str, Callable] = function_table()

MAKING = vars(creation) | vars(drawing)
# Functions that are no methods.
ALONE: dict[str, Any] = {name: MAKING[name] for name in (*CREATING, "normal")} | {
    f.__name__: f
    for f in (
        joining.cat,
        joining.hstack,
        joining.stack,
        joining.vstack,
        stacking.column_stack,
        stacking.dstack,
        stacking.atleast_1d,
        stacking.atleast_2d,
        stacking.atleast_3d,
        stacking.cartesian_prod,
        notation.einsum,
        contractions.tensordot,
        contractions.chain_matmul,
        *older_linalg.NO_METHODS,
        sorting.searchsorted,
        sorting.bucketize,
        numbers.isin,
        arranging.block_diag,
        arranging.combinations,
        arranging.broadcast_shapes,
        arranging.unravel_index,
        arranging.constant_pad_nd,
        distances.cdist,
        distances.pdist,
        calculus.trapezoid,
        calculus.cumulative_trapezoid,
        calculus.gradient,
        *copies.COPIES.values(),
        gamma.polygamma,
    )
}

ALONE |= {
    f.__name__: f for f in (distributions.poisson, distributions.binomial, distributions.feature_dropout, distributions.native_dropout)
}
ALONE |= {"trapz": calculus.trapezoid, "row_stack": joining.vstack}


def polygamma(self: Tensor, n: int) -> Tensor:
    """The ``n``-th derivative of :func:`digamma`: :func:`gradflow.polygamma` with its arguments exchanged.

    >>> gf.tensor([1.0]).polygamma(1)
    tensor([1.6449])
    """
    return gamma.polygamma(n, self)


def polygamma_(self: Tensor, n: int) -> Tensor:
    """``polygamma`` in place; returns the tensor.

    >>> gf.tensor([1.0]).polygamma_(1)
    tensor([1.6449])
    """
    return inplace.become(self, gamma.polygamma(n, self), "polygamma_")


def new(self: Tensor, *args: Any) -> Tensor:
    """A tensor of this tensor's type: of given sizes, with whatever the memory held, or of given data.

    >>> gf.ones(2).new([3, 4])
    tensor([3., 4.])
    """
    return constructors.TYPES[f"{convert.LEGACY[self.dtype.name]}Tensor"](*args)


def where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The elements where ``condition`` holds, else those of ``other``: :func:`gradflow.where` with the tensor as its second argument.

    >>> gf.tensor([1, 2]).where(gf.tensor([True, False]), 0)
    tensor([1, 0])
    """
    return pointwise.where(condition, self, other)


METHODS: dict[str, Callable] = {
    "unfold": rearranging.unfold,
    "polygamma": polygamma,
    "polygamma_": polygamma_,
    "new": new,
    "lu": older_linalg.lu,
    "view": views.view,
    "expand": views.expand,
    "view_as": views.view_as,
    "reshape_as": views.reshape_as,
    "contiguous": views.contiguous,
    "repeat": joining.repeat,
    "to": convert.to,
    "type": convert.type_,
    "type_as": convert.type_as,
    "cpu": convert.cpu,
    "cuda": convert.cuda,
    "__getitem__": indexing.getitem,
    "__setitem__": indexing.setitem,
    "fill_": inplace.fill_,
    "zero_": inplace.zero_,
    "copy_": inplace.copy_,
    "uniform_": random.uniform_,
    "normal_": random.normal_,
    "random_": random.random_,
    "bernoulli_": random.bernoulli_,
    "cauchy_": distributions.cauchy_,
    "exponential_": distributions.exponential_,
    "geometric_": distributions.geometric_,
    "log_normal_": distributions.log_normal_,
    "bool": convert.method("bool", dtypes.bool_),
    "byte": convert.method("byte", dtypes.uint8),
    "char": convert.method("char", dtypes.int8),
    "short": convert.method("short", dtypes.int16),
    "int": convert.method("int", dtypes.int32),
    "long": convert.method("long", dtypes.int64),
    "half": convert.method("half", dtypes.float16),
    "bfloat16": convert.method("bfloat16", dtypes.bfloat16),
    "float": convert.method("float", dtypes.float32),
    "double": convert.method("double", dtypes.float64),
}


def delete(self: Tensor, index: Any) -> None:
    raise DTypeError("delitem: Tensor does not support deleting items; index what is to stay")


def detach_(self: Tensor) -> Tensor:
    """Forget the history of this tensor; returns it. Not for views, whose base would keep one.

    >>> x = gf.ones(2, requires_grad=True) * 2
    >>> x.detach_().requires_grad
    False
    """
    if getattr(self, "origin", None) is not None:
        raise GradError("detach_: Can't detach views in-place; use detach() instead")
    if self.is_leaf:
        return self.requires_grad_(False)
    self.node = None
    return self


def contains(self: Tensor, element: Any) -> bool:
    if not isinstance(element, Tensor | bool | int | float):
        raise DTypeError(f"in: Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element).__name__}")
    return bool(pointwise.eq(self, element).array.any())


def new_like(name: str, function: Callable) -> Callable:
    """``x.new_zeros(...)``: a new tensor of x's type."""

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = self.dtype
        if kwargs.get("device") is None:
            kwargs["device"] = self.device
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = f"new_{name}"
    call.__doc__ = f"``{name}`` with this tensor's type and device.\n\n    {function.__doc__}"
    return direct(f"new_{name}", *creation.MADE, options=creation.OPTIONS)(call) if name in ("zeros", "ones", "empty", "full") else call


CHANGING = """
    clamp clip neg pow relu remainder fmod round square add sub mul div floor_divide addcmul addcdiv masked_fill tril triu scatter scatter_add scatter_reduce index_add index_copy index_fill index_put masked_scatter put cumsum cumprod addmv addr addbmm addmm baddbmm
    renorm index_reduce sgn clamp_max clamp_min float_power gcd heaviside i0 lcm logit mvlgamma nan_to_num nextafter absolute negative subtract multiply divide
    true_divide arccos arcsin arctan arctan2 arccosh arcsinh arctanh fix greater greater_equal less less_equal not_equal""".split()
IN_PLACE = {f"{name}_": inplace.in_place(FUNCTIONS[name], f"{name}_") for name in [*PUBLIC, *CHANGING]}
# Those that are also ``gradflow.name_(x)``.
FREE_IN_PLACE = """
    abs acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min clip cos cosh
    deg2rad erf erfc exp exp2 expm1 fix floor frac gcd i0 index_put lcm ldexp log log10 log1p log2 logit nan_to_num neg negative rad2deg
    reciprocal relu round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy""".split()
ALONE |= {f"{name}_": IN_PLACE[f"{name}_"] for name in FREE_IN_PLACE}
ALONE |= {f.__name__: f for f in (inplace.zero_, inplace.fill_, sharing.resize_as_, copies.AXES_IN_PLACE["as_strided_"])}
REST: dict[str, Any] = {
    "where": where,
    "new_tensor": new_like("tensor", creation.tensor),
    "T": property(views.transposed),
    "mT": property(views.matrix_transposed),
    "mH": property(older_linalg.matrix_adjoint),
    "H": property(older_linalg.hermitian),
    "__contains__": contains,
    "__delitem__": delete,
    "detach_": detach_,
}
REST |= {f"new_{name}": new_like(name, getattr(creation, name)) for name in ("zeros", "ones", "empty", "full")}
REST["new_empty_strided"] = new_like("empty_strided", constructors.empty_strided)
REST |= operators.operators(IN_PLACE)

ATTACHED = FUNCTIONS | METHODS | sharing.METHODS | IN_PLACE | copies.AXES_IN_PLACE | REST
NAMES = tuple(ATTACHED)
for _name, _function in ATTACHED.items():
    _plain = _name.removesuffix("_")
    if getattr(_function, "__name__", "") == "<lambda>":
        _function.__name__ = _function.__qualname__ = _name  # what Python says of wrong arguments
    setattr(Tensor, _name, checked(_name, _function, FUNCTIONS[_plain]) if _plain in SLOW and _plain not in REDUCING else _function)

NUMBER_FIRST = {
    "pow",
    "floor_divide",
    "remainder",
    "fmod",
    "where",
    "float_power",
    *(n for n in SPELLINGS if n[:3] in ("add", "sub", "mul", "div", "tru")),
}


FUNCTIONS = {name: free(name, function, name not in NUMBER_FIRST) for name, function in FUNCTIONS.items()}
ALONE = {name: free(name, function, name.endswith("_")) for name, function in ALONE.items()}
