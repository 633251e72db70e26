"""Kernels of the registered operations, printed for tests."""

import sys
from itertools import product

import gradflow as gf
from gradflow.kinds.formulas import REGISTRY
from gradflow.optim.adam import adam_kernel
from gradflow.optim.sgd import sgd_kernel
from gradflow.scalar import column_index, cuda, cuda_rows, eq, exp, log, row_max, row_sum, sqrt, trace, where
from gradflow.scalar.cuda import FLAT, NUMBER, STRIDED32, STRIDED64
from gradflow.scalar.types import BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT64
from gradflow.tape.node import identity

OPS = {name: call.op for name, call in REGISTRY.items() if hasattr(call, "op")}
FLOATS = (FLOAT16, BFLOAT16, FLOAT32, FLOAT64)
KINDS = tuple(cuda.FOLDS)
KEPT = (cuda_rows.CACHED, cuda_rows.SHARED, cuda_rows.PASSES)
WALKS = (FLAT, STRIDED32, STRIDED64)


def stored_types(program, common):
    """Raw inputs are conditions or seeds and targets, the others of one type."""
    raw = BOOL if program.name.startswith("where") else INT64
    return [raw if i in program.raw else common for i in range(program.inputs)]


def typed_for(program, common):
    return program.typed(stored_types(program, common), common, FLOAT32)


def result_types(typed):
    return [typed.types[i] for i in typed.outputs]


def inputs_of(program, common, numbers):
    return [NUMBER if i in numbers else t for i, t in enumerate(stored_types(program, common))]


def elementwise(program, walk, common=FLOAT32, numbers=(), outputs=None):
    typed = typed_for(program, common)
    return cuda.elementwise(typed, inputs_of(program, common, numbers), outputs or result_types(typed), walk)


def rows(program, kept, common=FLOAT32, numbers=(), walk=STRIDED32):
    typed = typed_for(program, common)
    return cuda_rows.rows(typed, inputs_of(program, common, numbers), result_types(typed), walk, kept)


def reduce(kind, program, walk, common=FLOAT32, output=None, numbers=()):
    typed = typed_for(program, common)
    if output is None:
        output = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else result_types(typed)[0]
    return cuda.reduce(kind, typed, inputs_of(program, common, numbers), output, walk)


def pullbacks(op):
    """For every input alone and all together, and for x with itself; where there is a derivative."""
    n = op.program.inputs
    masks = {(1 << i, False) for i in range(n)} | {(2**n - 1, False)}
    for wanted, tied in sorted(masks | ({(3, True)} if n == 2 and op.single else set())):
        try:
            plan = op.plan(wanted, tied)
        except gf.errors.GradError:
            continue
        if plan.kernel is not None:
            yield plan.program


IDENTITY = trace(lambda x: x, name="identity")


def adam(p, g, m, v, beta1, beta2, rate, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return p - rate * m / (sqrt(v) + eps), m, v


ADAM = trace(adam)


def cross_entropy(x, target, weight):
    lse = log(row_sum(exp(x - row_max(x)))) + row_max(x)
    return weight * (lse - row_sum(where(eq(column_index(), target), x, 0))), lse


CROSS_ENTROPY = trace(cross_entropy, raw=("target",), row_inputs=("target", "weight"))


def held_programs():
    """Of the kernels that modules keep for themselves, and of the optimizers' steps."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "gradflow"]
    held = {id(v): v for module in modules for v in vars(module).values() if type(v) is type(identity)}
    steps = [adam_kernel(*choice) for choice in product((False, True), ("none", "gradient", "decoupled"), (False, True))]
    steps += [sgd_kernel(m, d, n, True, False) for m, d, n in product((False, True), repeat=3) if m or not (d or n)]
    return [v.source for v in [*held.values(), *steps]]


def programs(common):
    """Of every operation and its derivatives (of which integers have none), and of every kernel that a module holds."""
    yield from held_programs()
    for op in OPS.values():
        yield op.program
        if common in FLOATS and not op.constant:
            yield from pullbacks(op)


def kernels(common, walks):
    for program in programs(common):
        try:
            typed_for(program, common)
        except TypeError:  # bitwise operations on floats
            continue
        if program.rows:
            yield from (
                rows(program, kept, common, walk=w)
                for w in walks
                if w != FLAT
                for kept in KEPT
                if w == STRIDED32 or kept != cuda_rows.SHARED
            )
        else:
            numbers = OPS[program.name].numbers if program.name in OPS else ()
            yield from (elementwise(program, w, common, numbers) for w in walks)


def reductions(types, walks):
    for kind in KINDS:
        for common in types:
            yield from (reduce(kind, IDENTITY, walk, common) for walk in walks)
            output = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else common
            yield cuda.combine(kind, common, output)
