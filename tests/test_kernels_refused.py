"""What is no proper call of a kernel is a clean exception: no input may crash, no garbage either."""

import numpy as np
import pytest
from kernel_cases import CLEAN, F4, F8, I8, cases, identity, random_index
from layouts import CODE, DTYPES, array, shape_of

import gradflow._ext as ext
from gradflow import backends as b
from gradflow import scalar as s
from gradflow.errors import GradflowError
from gradflow.scalar.program import trace

# ---- what is no proper call ----------------------------------------------------------------------------------------------


def test_refusals():
    x, y = np.ones((3, 4), F4), np.ones((3, 4), F4)
    frozen = np.ones((3, 4), F4)
    frozen.flags.writeable = False
    expanded = np.lib.stride_tricks.as_strided(np.zeros(4, F4), (3, 4), (0, 4))
    swapped, objects, strings = x.astype(">f4"), np.ones((3, 4), object), np.full((3, 4), "a")
    add = b.kernel(lambda p, q: p + q)
    for bad in (swapped, objects, strings, x.astype("c8"), x.astype("u4"), x.astype("f8").astype(np.longdouble), np.zeros((3, 4), "M8[s]")):
        for call in (
            lambda a: b.elementwise(add, (a, y)),
            lambda a: b.elementwise(add, (x, y), a),
            lambda a: b.reduce("sum", identity, (a,), None, False),
            lambda a: b.reduce("sum", identity, (x,), (), False, a),
            lambda a: b.dot(a, y.T),
            lambda a: b.dot(x, np.eye(4, dtype=F4), a),
            lambda a: b.gather(a, 0, np.zeros((3, 4), I8)),
            lambda a: b.gather(x, 0, a),
            lambda a: b.scatter_add(a, 0, np.zeros((3, 4), I8), y),
            lambda a: b.scatter_add(x, 0, np.zeros((3, 4), I8), a),
            lambda a: b.take_rows(a, 0, np.zeros(2, I8)),
            lambda a: b.add_rows(a, 0, np.zeros(3, I8), y),
            lambda a: b.copy(a, y),
            lambda a: b.copy(x, a),
            lambda a: b.result_type((a,)),
        ):
            with pytest.raises(TypeError):
                call(bad)
    for out in (frozen, expanded, np.zeros((4, 3), F4), np.zeros(12, F4), np.zeros((1, 4), F4), np.zeros((), F4)):
        for call in (
            lambda o: b.elementwise(add, (x, y), o),
            lambda o: b.reduce("sum", identity, (x,), (), False, o),
            lambda o: b.dot(x, np.eye(4, dtype=F4), o),
            lambda o: b.gather(x, 0, np.zeros((3, 4), I8), o),
            lambda o: b.take_rows(x, 0, np.zeros(3, I8), o),
        ):
            with pytest.raises(GradflowError):
                call(out)
    for table in (frozen, expanded):
        for call in (b.scatter_add, b.add_rows):
            with pytest.raises(GradflowError):
                call(table, 0, np.zeros((3, 4), I8) if call is b.scatter_add else np.zeros(3, I8), y)
        with pytest.raises(GradflowError):
            b.copy(x, table)
    for call in (
        lambda: b.elementwise(add, (x, np.ones((3, 5), F4))),
        lambda: b.elementwise(add, (x,)),
        lambda: b.elementwise(add, (x, y, y)),
        lambda: b.elementwise(add, (x, y), (None, None)),
        lambda: b.elementwise(add, [x, y]),
        lambda: b.elementwise(add, (x, 2**70)),
        lambda: b.reduce("sum", identity, (x,), (2,), False),
        lambda: b.reduce("sum", identity, (x,), (0, 0), False),
        lambda: b.reduce("sum", identity, (x,), (0, -2), False),
        lambda: b.reduce("median", identity, (x,), None, False),
        lambda: b.reduce(99, identity, (x,), None, False),
        lambda: b.reduce("argmax", identity, (x,), (0, 1), False),
        lambda: b.reduce("sum", add, (x,), None, False),
        lambda: b.rows(add, (x, y), 5),
        lambda: b.rows(b.kernel(lambda p: s.row_sum(p)), (x,), 2),
        lambda: b.elementwise(b.kernel(lambda p: s.row_sum(p)), (x,)),
        lambda: b.dot(x, y),
        lambda: b.dot(x, y.astype(F8).T),
        lambda: b.dot(x, np.float32(2)),
        lambda: b.dot(np.ones((), F4), x),
        lambda: b.gather(x, 2, np.zeros((3, 4), I8)),
        lambda: b.gather(x, 0, np.zeros((3, 5), I8)),
        lambda: b.gather(x, 0, np.zeros(3, I8)),
        lambda: b.gather(x, 0, np.zeros((3, 4), F4)),
        lambda: b.scatter_add(x, 0, np.zeros((3, 4), I8), y.astype(F8)),
        lambda: b.add_rows(x, 0, np.zeros(2, I8), y),
        lambda: b.copy(np.ones((3, 5), F4), x),
        lambda: b.expand(x, (3, 5)),
        lambda: b.expand(x, (4,)),
        lambda: b.expand(x, (-1, 3, 4)),
        lambda: b.empty((-1,), 8),
        lambda: b.empty((1,) * 40, 8),
        lambda: b.empty((2,), 10),
        lambda: b.empty([2], 8),
        lambda: ext.set_num_threads(0),
        lambda: ext.philox(0, 0, -1),
        lambda: b.elementwise(identity, (np.ones((1,) * 40, F4),)),
    ):
        with pytest.raises(CLEAN):
            call()
    assert (x == 1).all() and (y == 1).all()


def garbage(rng):
    """Something that may stand where an argument belongs."""
    kernels = (identity, b.kernel(lambda p, q: p + q), b.kernel(lambda p: (p, p)), b.kernel(lambda p: p / s.row_sum(p)))
    small = int(rng.integers(-3, 6))

    class Odd:
        def __index__(self):
            raise RuntimeError("no index")

        def __float__(self):
            return "no float"

        def __bool__(self):
            raise ValueError("no truth")

        name = 3

    choices = [
        lambda: None,
        lambda: small,
        lambda: small * 1.5,
        lambda: int(rng.choice([2**31, -(2**31), 2**62, -(2**63)])),
        lambda: 2**70,
        lambda: float("nan"),
        lambda: "sum",
        lambda: b"\0" * 24,
        lambda: Odd(),
        lambda: np.float16(2),
        lambda: np.int8(-1),
        lambda: np.datetime64("2020"),
        lambda: kernels[rng.integers(4)],
        lambda: array(rng, shape_of(rng, 3, 50), DTYPES[rng.integers(10)]),
        lambda: np.ones(shape_of(rng, 2, 20)).astype([">f4", "c8", object, "S3", "u8"][rng.integers(5)]),
        lambda: random_index(rng, shape_of(rng, 2, 20), 2),
        lambda: np.ma.masked_array([1.0, 2.0]),
        lambda: tuple(garbage(rng) for _ in range(rng.integers(0, 4))),
        lambda: tuple(array(rng, (2, 3), F4) for _ in range(rng.integers(0, 4))),
        lambda: (0,) * int(rng.integers(0, 40)),
        lambda: [1, 2],
        dict,
        lambda: int,
    ]
    return choices[rng.integers(len(choices))]()


ENTRIES = [
    "elementwise",
    "reduce",
    "rows",
    "dot",
    "gather",
    "scatter_add",
    "take_rows",
    "add_rows",
    "scan",
    "copy",
    "expand",
    "irregular",
    "result_type",
    "lu",
    "lu_permutation",
    "cholesky",
    "solve_triangular",
    "ldl",
    "ldl_solve",
    "scatter",
    "top",
    "shuffle",
    "put_rows",
    "put_where",
    "pool_max",
    "pool_mean",
    "pool_spread",
    "join",
    "strided",
    "clear_triangle",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ENTRIES)
def test_garbage_raises_or_computes_and_never_crashes(name):
    call = getattr(ext, name)
    arity = {"elementwise": 4, "reduce": 8, "rows": 5, "irregular": 2, "result_type": 1, "copy": 2, "expand": 2}
    arity |= {"scan": 3, "lu": 1, "lu_permutation": 2, "cholesky": 1, "solve_triangular": 6, "ldl": 1, "ldl_solve": 3}
    arity |= {"top": 3, "shuffle": 1, "put_where": 3, "pool_max": 3, "pool_mean": 3, "clear_triangle": 3}
    kernels = (identity, b.kernel(lambda p, q: p + q), b.kernel(lambda p: (p, p)), b.kernel(lambda p: p / s.row_sum(p)))
    outcomes = {True: 0, False: 0}
    for rng in cases(800, 60 + ENTRIES.index(name)):
        args = [garbage(rng) for _ in range(arity.get(name, 4) if rng.random() < 0.8 else rng.integers(0, 10))]
        if rng.random() < 0.7 and len(args) > 3:  # nearly right: what is checked last is reached too
            x = array(rng, shape_of(rng, 3, 50), DTYPES[rng.integers(10)])
            if name in ("elementwise", "rows"):
                args[0] = kernels[rng.integers(4)]
                args[1] = (x,) * args[0].n_inputs if rng.random() < 0.7 else args[1]
            elif name == "reduce":
                args[:3] = [list(b.KINDS)[rng.integers(8)], identity, (x,)]
            else:
                args[0] = x
            if rng.random() < 0.5:
                args = args[:3]
        try:
            call(*args)
            outcomes[True] += 1
        except (*CLEAN, RuntimeError):
            outcomes[False] += 1
    assert outcomes[False]


def test_programs_whose_code_is_garbage_are_refused():
    """Only our own typer writes this code, but the interpreter trusts nobody."""
    x = np.ones((5, 40), F4)
    good = b.prepare(trace(lambda p, q: (p + 2 * q, s.exp(p)), 2)).source.typed((8, 8), 8)
    from gradflow.backends.encode import encode

    code, consts, const_types, outs, registers = encode(good, ext.opcodes)
    worked = 0
    for rng in cases(600, 80):
        words = np.frombuffer(code, np.int32).copy()
        for _ in range(rng.integers(0, 4)):
            words[rng.integers(words.size)] = int(rng.choice([-1, 0, 1, 2, 5, 9, -2, -1001, -1002, 100, 2**31 - 1, -(2**31), *range(60)]))
        answer = [words.tobytes(), consts, const_types, outs, registers]
        if rng.random() < 0.3:
            answer[rng.integers(5)] = garbage(rng)
        program = ext.Program(lambda *_, a=answer: tuple(a), 2, 2, 0, int(rng.choice([0, 0, 0, 1, 2, 3, 256, 770])), None)
        try:
            (b.rows(program, (x, x), 1) if program.flags & 2 else b.elementwise(program, (x, x)))
            worked += 1
        except (*CLEAN, RuntimeError, SystemError):
            pass
    assert worked
    for answer in (
        None,
        (),
        (1, 2, 3, 4, 5),
        (code,),
        (code[:-1], consts, const_types, outs, registers),
        [code, consts, const_types, outs, registers],
    ):
        with pytest.raises(CLEAN):
            b.elementwise(ext.Program(lambda *_, a=answer: a, 2, 2, 0, 0, None), (x, x))
    with pytest.raises(CLEAN):
        ext.Program(None, 100, 1, 0, 0, None)
    with pytest.raises(ZeroDivisionError):
        b.elementwise(ext.Program(lambda *_: 1 // 0, 1, 1, 0, 0, None), (x,))


def test_the_ten_types_have_their_codes():
    for dtype, code in CODE.items():
        assert b.result_type((np.ones(2, dtype),)) == code and b.empty((2,), code).dtype == dtype
