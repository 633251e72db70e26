"""The CUDA backend at its limits: more than 2**31 elements, grids, blocks and shared memory, rows of every length, odd addresses and strides, many
dimensions. The emulated device has memory for pages that are written, and of large grids runs the blocks around the places that are looked at.
"""

import importlib

import numpy as np
import pytest
from cuda_driver import Driver

import gradflow as gf
from gradflow.backends import cuda
from gradflow.backends.cuda import folds, moves, scans
from gradflow.backends.cuda.launch import Inputs
from gradflow.backends.cuda.products import identity

elementwise = importlib.import_module("gradflow.backends.cuda.elementwise")  # the package has its function
EDGE = 1 << 31
MANY = EDGE + 70_001
PLACES = (0, 5, EDGE - 1, EDGE, EDGE + 1, MANY - 1)


def collected(driver):
    driver.limit = 1 << 40
    for case in (many_elements, many_rows, by_index):
        list(case(driver))
    driver.limit = 1 << 34
    for where in (lengths, odd_memory, many_dimensions):
        list(where("cuda"))


COLLECTED = [collected]


@pytest.fixture
def vast(device, monkeypatch):
    """Room for arrays of more than 2**31 elements; on the emulated device a thread for every element."""
    if isinstance(device, Driver):
        for module in (elementwise, folds, moves, scans):
            monkeypatch.setattr(module, "BLOCKS", EDGE - 1)
        monkeypatch.setattr(device, "limit", 1 << 40)
        parts = [p / MANY for p in PLACES]
        monkeypatch.setattr(device, "chosen", [*parts, *(2 * part % 1 for part in parts), 1 / 3, 2 / 3])  # in halves and thirds, too
        cuda.use(device)  # plans are made anew
    elif gf.cuda.mem_get_info()[0] < 20 << 30:
        pytest.skip("needs 20 GiB on the device")
    yield device
    cuda.use(device)
    gf.cuda.empty_cache()


def vector(dtype="uint8", n=MANY):
    """Its values are set at PLACES, as their numbers."""
    x = gf.empty(n, dtype=getattr(gf, dtype), device="cuda")
    for k, p in enumerate(PLACES):
        x[p % n] = k + 1
    return x


def many_elements(driver):
    """Results at PLACES: flat, with other strides, broadcast, and from a part that begins beyond 2**31."""
    x = vector()
    square = x[1:].view(2, -1)
    yield (x + x), [2 * k + 2 for k in range(6)], PLACES
    yield (x[3:] + x[3:]), [2 * k + 2 for k in range(1, 6)], [p - 3 for p in PLACES[1:]]
    yield square.T.contiguous().T.reshape(-1), [k + 1 for k in range(1, 6)], [p - 1 for p in PLACES[1:]]
    yield (x[EDGE:] + x[-1]), [11, 12], [1, MANY - 1 - EDGE]


def check(results):
    for result, want, places in results:
        assert [int(result[p].item()) for p in places] == want


def many_rows(driver):
    """Sums of columns, and rows that are normalised: more than 2**31 elements in all."""
    n = MANY // 3
    x = vector()[: 3 * n].view(3, n)
    for p in (0, n - 1):
        x[:, p] = gf.tensor([1, 2, 4], dtype=gf.uint8, device="cuda")
    yield x.sum(0, dtype=gf.uint8), [7, 7], [0, n - 1]
    y = gf.empty(n, 3, dtype=gf.float16, device="cuda")
    for p in (0, n - 1):
        y[p] = gf.tensor([1.0, 1.0, 1.0], dtype=gf.float16, device="cuda")
    for axis, z in ((1, y), (0, y.T)):
        s = (3 * z.softmax(axis)).T if axis == 0 else 3 * z.softmax(axis)
        yield s.reshape(-1), [1, 1, 1, 1], [0, 2, 3 * n - 3, 3 * n - 1]
    yield y.cumsum(1).reshape(-1), [1, 2, 3, 3], [0, 1, 2, 3 * n - 1]


def by_index(driver):
    x = vector()
    places = gf.tensor(PLACES, device="cuda")
    yield x[places], [1, 2, 3, 4, 5, 6], range(6)
    yield x.gather(0, places), [1, 2, 3, 4, 5, 6], range(6)
    yield x.index_add_(0, places, gf.tensor([1, 2, 3, 4, 5, 6], dtype=gf.uint8, device="cuda")), [2, 4, 6, 8, 10, 12], PLACES


@pytest.mark.parametrize("case", [many_elements, many_rows, by_index])
def test_more_elements_than_fit_32_bits(vast, case):
    check(case(vast))


def test_launches_of_any_size_are_possible(device):
    """Of plans for arrays that no memory holds: the walk counts in 64 bits, and grids, blocks and shared memory are within CUDA's limits."""
    one = gf.zeros(1, device="cuda").array
    for shape in (
        (1 << 31,),
        ((1 << 31) - 1,),
        (1 << 20, 1 << 20),
        (3, 1 << 40),
        (1 << 40, 3),
        (1 << 16, 7, 1 << 16),
        (2, 3),
        (65_537, 1 << 15),
    ):
        x = one.view_of(np.broadcast_to(one.ghost, shape))
        found = Inputs("identity", (x,))
        launches: list = [elementwise.Plan(identity, (x,), found, (None,), 0).launch]
        for axes in (None, *((d,) for d in range(len(shape)))):
            for kind in ("sum", "argmax"):
                r = folds.Reduction(kind, identity, (x,), found, axes, False, None, 0, 1.0)
                launches += [r.stage, *([r.second] if r.second else [])]
        for launch in launches:
            (gx, gy), (bx, by) = launch.grid, launch.block
            assert 0 < gx < 1 << 31 and 0 < gy <= 65_535 and 0 < bx * by <= 512 and launch.shared <= 48 << 10
        wide = "strided64" if np.prod([float(n) for n in shape]) >= EDGE else "strided32"
        name = launches[0].function[0] if isinstance(device, Driver) else wide
        assert wide in name, (shape, name)


# Against the CPU


def lengths(where):
    """Rows around every boundary of blocks, packs and what is kept in registers."""
    F = gf.nn.functional
    for n in (1, 2, 3, 4, 7, 8, 31, 32, 33, 63, 65, 255, 257, 1023, 1025, 4095, 4096, 4097, 5003):
        for dtype in (gf.float32, gf.float16):
            x = (gf.arange(2 * n, device="cpu") * 0.7).sin().reshape(2, n).to(dtype).to(where)
            yield from (x.softmax(1), x.sum(1), x.T.softmax(0), x.T.sum(0), x.amax(1), x.argmax(1), F.layer_norm(x, (n,)), x.sum())
            yield from (x[:, 1:].sum(1), x.float().cumsum(1), x.float().T.cumsum(0))


def odd_memory(where):
    """Addresses that no access of 16 bytes may have, numbers of elements around a pack, reversed, spread and single axes, nothing at all."""
    for dtype in (gf.uint8, gf.float16, gf.bfloat16, gf.float32, gf.float64, gf.int64, gf.bool):
        base = (gf.arange(200, device="cpu") % 7).to(dtype).to(where)
        for n in (0, 1, 3, 4, 5, 8, 15, 16, 17, 33):
            for start in (0, 1, 2, 3, 5, 8):
                x = base[start : start + n]
                yield from (x * x, x.sum(), x.clone())
                y = gf.zeros(n + 3, dtype=dtype, device=where)
                y[3 - start % 3 :][:n] = x
                yield y
        for x in (
            base[1:13].reshape(3, 4).flip(0),
            base[1:].as_strided((3, 4), (1, 5)),
            base.as_strided((2, 3, 4), (0, 2, 0)),
            base[::7][:12].reshape(4, 3).T,
            base[5],
            base[5:6].reshape(1, 1, 1),
            base[:0].reshape(0, 3),
            base[:5].reshape(1, 5, 1).expand(4, 5, 2),
        ):
            yield from (x * x, x + x.T if x.ndim == 2 and x.shape[0] == x.shape[1] else x + x, x.sum(), x.contiguous())
            if x.ndim:
                yield from (x.sum(0), x.sum(-1), x.flip(-1) * x)


def many_dimensions(where):
    """More than the eight that a kernel walks, where they lie one after the other in memory, and where not."""
    x = gf.arange(2.0**10, device="cpu").to(where)
    wide = x.reshape((2,) * 10)
    turned = wide.permute(*reversed(range(10)))
    yield from (
        wide + wide,
        wide.transpose(0, 9) * 2,
        turned.contiguous(),
        turned + wide,
        wide.sum((0, 9)),
        wide.permute(1, 0, *range(2, 10)).softmax(9),
    )
    out = gf.zeros((2,) * 10, device=where)
    out.permute(*reversed(range(10))).copy_(wide)
    yield out


@pytest.mark.parametrize("case", [lengths, odd_memory, many_dimensions])
def test_as_on_the_cpu(device, case):
    for count, (got, want) in enumerate(zip(case("cuda"), case("cpu"), strict=True)):
        assert got.is_cuda and got.dtype is want.dtype and got.shape == want.shape
        tolerance = {2: 4e-3, 4: 2e-5, 8: 1e-12}.get(want.element_size(), 0) if want.is_floating_point() else 0
        g, w = (t.detach().cpu().to(gf.float64).numpy() for t in (got, want))
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance, err_msg=f"result {count}")
