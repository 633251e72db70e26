"""The error function's kin: the normal distribution, its logarithm, its inverse, and erfcx."""

from __future__ import annotations

import math
from typing import Any

from ..kinds import elementwise
from ..scalar import primitives as s
from .bessel import chebyshev, polynomial, within

SQRT_HALF = math.sqrt(0.5)
SQRT_2PI = math.sqrt(2 * math.pi)

# Of (1 + 2 x) exp(x^2) erfc(x) in (x - 3.75) / (x + 3.75), for x >= 0; the expansion of Shepherd and Laframboise 1981, computed anew
ERFCX = (
    -2.2370566594359995e-18, 5.068148904796111e-17, 7.418235256624044e-17, -1.2507950530688648e-15, -1.864562880419313e-15,
    3.3478119482868056e-14, 3.25254814814874e-14, -9.65469674843344e-13, 1.9455868545777347e-13, 2.86879501093067e-11,
    -6.318088340886684e-11, -7.754400208831351e-10, 4.521959811218287e-09, 1.076499946567091e-08, -2.1886401049234397e-07,
    7.74038306619849e-07, 4.13902798607301e-06, -6.916973302501207e-05, 0.0004907758365258086, -0.002413163540417608,
    0.009074997670705265, -0.026658668435305753, 0.05920993999819189, -0.08424913336651792, -0.004590054580646478, 2.3551578691348034,
)  # fmt: skip

# Rational approximations from Cephes (Moshier 1989)
NDTRI_P0 = (-59.96335010141079, 98.00107541859997, -56.67628574690703, 13.931260938727968, -1.2391658386738125)
NDTRI_Q0 = (
    1.0, 1.9544885833814176, 4.676279128988815, 86.36024213908905, -225.46268785411937, 200.26021238006066, -82.03722561683334,
    15.90562251262117, -1.1833162112133,
)  # fmt: skip
NDTRI_P1 = (
    4.0554489230596245, 31.525109459989388, 57.16281922464213, 44.08050738932008, 14.684956192885803, 2.1866330685079025,
    -0.1402560791713545, -0.03504246268278482, -0.0008574567851546854,
)  # fmt: skip
NDTRI_Q1 = (
    1.0, 15.779988325646675, 45.39076351288792, 41.3172038254672, 15.04253856929075, 2.504649462083094, -0.14218292285478779,
    -0.03808064076915783, -0.0009332594808954574,
)  # fmt: skip
NDTRI_P2 = (
    3.2377489177694603, 6.915228890689842, 3.9388102529247444, 1.3330346081580755, 0.20148538954917908, 0.012371663481782003,
    0.00030158155350823543, 2.6580697468673755e-06, 6.239745391849833e-09,
)  # fmt: skip
NDTRI_Q2 = (
    1.0, 6.02427039364742, 3.6798356385616087, 1.3770209948908132, 0.21623699359449663, 0.013420400608854318, 0.00032801446468212774,
    2.8924786474538068e-06, 6.790194080099813e-09,
)  # fmt: skip


def erfcx_of(x: Any) -> Any:
    a = s.where(s.eq(s.abs(x), math.inf), 1.0, s.abs(x))
    upper = 0.5 * chebyshev(2.0 * ((a - 3.75) / (a + 3.75)), ERFCX) / (0.5 + a)
    upper = s.where(s.eq(s.abs(x), math.inf), 0, upper)
    b = within(s.lt(x, 0) & s.gt(x, -30), x, 0.0)
    whole = s.round(b * 16) * 0.0625  # its square is exact: exp(x^2) in two factors loses nothing
    square = s.exp(whole * whole) * s.exp((b - whole) * (b + whole))
    return s.where(s.ne(x, x), x, s.where(s.ge(x, 0), upper, s.where(s.gt(x, -30), 2 * square - upper, math.inf)))


@elementwise(grad_name="SpecialErfcxBackward0", ulp=8)
def erfcx(x):
    """``exp(x^2) * erfc(x)``, finite where erfc is 0.

    >>> gf.special.erfcx(gf.tensor([0.0, 1.0, 20.0]))
    tensor([1.0000, 0.4276, 0.0282])
    """
    return erfcx_of(x)


@erfcx.partial
def erfcx_partial(y, x):
    return (2 * x * y - 2 / math.sqrt(math.pi),)


@elementwise(grad_name="SpecialNdtrBackward0", ulp=8)
def ndtr(x):
    """The normal distribution: the probability of a number up to x.

    >>> gf.special.ndtr(gf.tensor([0.0, 1.0]))
    tensor([0.5000, 0.8413])
    """
    return 0.5 * s.erfc(-SQRT_HALF * x)


@ndtr.partial
def ndtr_partial(y, x):
    return (s.exp(-0.5 * x * x) * (1 / SQRT_2PI),)


@elementwise(grad_name="SpecialLogNdtrBackward0", ulp=8)
def log_ndtr(x):
    """``log(ndtr(x))``, finite where ndtr is 0.

    >>> gf.special.log_ndtr(gf.tensor([0.0, -20.0]))
    tensor([  -0.6931, -203.9172])
    """
    t = SQRT_HALF * x
    low = within(s.lt(x, -1), t, -1.0)
    return s.where(s.lt(x, -1), s.log(0.5 * erfcx_of(-low)) - low * low, s.log1p(-0.5 * s.erfc(t)))


@log_ndtr.partial
def log_ndtr_partial(y, x):
    return (math.sqrt(2 / math.pi) / erfcx_of(-SQRT_HALF * x),)


@elementwise(grad_name="SpecialNdtriBackward0", domain=(0.02, 0.98), ulp=16)
def ndtri(x):
    """The inverse of ndtr on (0, 1); -inf at 0, inf at 1, nan outside.

    >>> gf.special.ndtri(gf.tensor([0.5, 0.9]))
    tensor([0.0000, 1.2816])
    """
    inside = s.gt(x, 0) & s.lt(x, 1)
    p = within(inside, x, 0.5)
    mirrored = s.gt(p, 1 - 0.13533528323661269189)
    q = s.where(mirrored, 1 - p, p)
    c = within(s.gt(q, 0.13533528323661269189), q, 0.5) - 0.5
    middle = SQRT_2PI * (c + c * (c * c * polynomial(c * c, NDTRI_P0) / polynomial(c * c, NDTRI_Q0)))
    r = s.sqrt(-2.0 * s.log(within(s.le(q, 0.13533528323661269189), q, 0.1)))
    z = 1 / r
    near, far = polynomial(z, NDTRI_P1) / polynomial(z, NDTRI_Q1), polynomial(z, NDTRI_P2) / polynomial(z, NDTRI_Q2)
    tail = r - s.log(r) / r - z * s.where(s.lt(r, 8), near, far)
    y = s.where(s.gt(q, 0.13533528323661269189), middle, s.where(mirrored, tail, -tail))
    return s.where(inside, y, s.where(s.eq(x, 0), -math.inf, s.where(s.eq(x, 1), math.inf, math.nan)))


@ndtri.partial
def ndtri_partial(y, x):
    return (SQRT_2PI * s.exp(0.5 * y * y),)
