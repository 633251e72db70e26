"""Bessel and Airy functions: rational and Chebyshev approximations of the Cephes library (Moshier 1989), good to a float64's last digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..kinds import Operation, elementwise
from ..scalar import primitives as s

J0_P = (0.0007969367292973471, 0.08283523921074408, 1.239533716464143, 5.447250030587687, 8.74716500199817, 5.303240382353949, 1.0)
J0_P_OVER = (0.0009244088105588637, 0.08562884743544745, 1.2535274390105895, 5.470977403304171, 8.761908832370695, 5.306052882353947, 1.0)
J0_Q = (
    -0.011366383889846916, -1.2825271867050931, -19.553954425773597, -93.20601521237683, -177.68116798048806, -147.07750515495118,
    -51.41053267665993, -6.050143506007285,
)  # fmt: skip
J0_Q_OVER = (
    1.0, 64.3178256118178, 856.4300259769806, 3882.4018360540163, 7240.467741956525, 5930.727011873169, 2062.0933166032783,
    242.0057402402914,
)  # fmt: skip
J0_NEAR = (-4794432209.782018, 1956174919465.5657, -249248344360967.72, 9708622510473064.0)
J0_NEAR_OVER = (
    1.0, 499.563147152651, 173785.4016763747, 48440965.83399621, 11185553704.535683, 2112775201154.892, 310518229857422.56,
    3.1812195594320496e+16, 1.7108629408104315e+18,
)  # fmt: skip
J1_P = (0.0007621256162081731, 0.07313970569409176, 1.1271960812968493, 5.112079511468076, 8.424045901417724, 5.214515986823615, 1.0)
J1_P_OVER = (0.0005713231280725487, 0.06884559087544954, 1.105142326340617, 5.073863861286015, 8.399855543276042, 5.209828486823619, 1.0)
J1_Q = (
    0.05108625947501766, 4.982138729512334, 75.82382841325453, 366.7796093601508, 710.8563049989261, 597.4896124006136,
    211.68875710057213, 25.207020585802372,
)  # fmt: skip
J1_Q_OVER = (
    1.0, 74.23732770356752, 1056.4488603826283, 4986.410583376536, 9562.318924047562, 7997.041604473507, 2826.1927851763908,
    336.0936078106983,
)  # fmt: skip
J1_NEAR = (-899971225.7055594, 452228297998.19403, -72749424522181.83, 3682957328638529.0)
J1_NEAR_OVER = (
    1.0, 620.8364781180543, 256987.25675774884, 83514679.14319493, 22151159547.97925, 4749141220799.914, 784369607876235.9,
    8.952223361846274e+16, 5.322786203326801e+18,
)  # fmt: skip
Y0_NEAR = (
    15592.436785523574, -14663929.59039716, 5435264770.518765, -982136065717.9115, 87590639439536.7, -3466283033847297.0,
    4.4273326857256984e+16, -1.8495080043698668e+16,
)  # fmt: skip
Y0_NEAR_OVER = (
    1.0, 1041.2835366425984, 626107.330137135, 268919633.39381415, 86400248710.3935, 20297961275010.555, 3171577528429750.5,
    2.5059625617265306e+17,
)  # fmt: skip
Y1_NEAR = (1263204747.9017804, -647355876379.1603, 114509511541823.73, -8127702555013251.0, 2.024394757135949e17, -7.788771962659501e17)
Y1_NEAR_OVER = (
    1.0, 594.3015923461282, 235564.09294306856, 73481194.44597217, 18760131610.870617, 3882312774962.3857, 620557727146953.8,
    6.871410873553005e+16, 3.9727060811656064e+18,
)  # fmt: skip
I0_NEAR = (
    -4.4153416464793395e-18, 3.3307945188222384e-17, -2.431279846547955e-16, 1.715391285555133e-15, -1.1685332877993451e-14,
    7.676185498604936e-14, -4.856446783111929e-13, 2.95505266312964e-12, -1.726826291441556e-11, 9.675809035373237e-11,
    -5.189795601635263e-10, 2.6598237246823866e-09, -1.300025009986248e-08, 6.046995022541919e-08, -2.670793853940612e-07,
    1.1173875391201037e-06, -4.4167383584587505e-06, 1.6448448070728896e-05, -5.754195010082104e-05, 0.00018850288509584165,
    -0.0005763755745385824, 0.0016394756169413357, -0.004324309995050576, 0.010546460394594998, -0.02373741480589947,
    0.04930528423967071, -0.09490109704804764, 0.17162090152220877, -0.3046826723431984, 0.6767952744094761,
)  # fmt: skip
I0_FAR = (
    -7.233180487874754e-18, -4.830504485944182e-18, 4.46562142029676e-17, 3.461222867697461e-17, -2.8276239805165836e-16,
    -3.425485619677219e-16, 1.7725601330565263e-15, 3.8116806693526224e-15, -9.554846698828307e-15, -4.150569347287222e-14,
    1.54008621752141e-14, 3.8527783827421426e-13, 7.180124451383666e-13, -1.7941785315068062e-12, -1.3215811840447713e-11,
    -3.1499165279632416e-11, 1.1889147107846439e-11, 4.94060238822497e-10, 3.3962320257083865e-09, 2.266668990498178e-08,
    2.0489185894690638e-07, 2.8913705208347567e-06, 6.889758346916825e-05, 0.0033691164782556943, 0.8044904110141088,
)  # fmt: skip
I1_NEAR = (
    2.7779141127610464e-18, -2.111421214358166e-17, 1.5536319577362005e-16, -1.1055969477353862e-15, 7.600684294735408e-15,
    -5.042185504727912e-14, 3.223793365945575e-13, -1.9839743977649436e-12, 1.1736186298890901e-11, -6.663489723502027e-11,
    3.625590281552117e-10, -1.8872497517228294e-09, 9.381537386495773e-09, -4.445059128796328e-08, 2.0032947535521353e-07,
    -8.568720264695455e-07, 3.4702513081376785e-06, -1.3273163656039436e-05, 4.781565107550054e-05, -0.00016176081582589674,
    0.0005122859561685758, -0.0015135724506312532, 0.004156422944312888, -0.010564084894626197, 0.024726449030626516,
    -0.05294598120809499, 0.1026436586898471, -0.17641651835783406, 0.25258718644363365,
)  # fmt: skip
I1_FAR = (
    7.517296310842105e-18, 4.414348323071708e-18, -4.6503053684893586e-17, -3.209525921993424e-17, 2.96262899764595e-16,
    3.3082023109209285e-16, -1.8803547755107825e-15, -3.8144030724370075e-15, 1.0420276984128802e-14, 4.272440016711951e-14,
    -2.1015418427726643e-14, -4.0835511110921974e-13, -7.198551776245908e-13, 2.0356285441470896e-12, 1.4125807436613782e-11,
    3.2526035830154884e-11, -1.8974958123505413e-11, -5.589743462196584e-10, -3.835380385964237e-09, -2.6314688468895196e-08,
    -2.512236237870209e-07, -3.882564808877691e-06, -0.00011058893876262371, -0.009761097491361469, 0.7785762350182801,
)  # fmt: skip
K0_NEAR = (
    1.374465435613523e-16, 4.25981614279661e-14, 1.0349695257633842e-11, 1.904516377220209e-09, 2.5347910790261494e-07,
    2.286212103119452e-05, 0.001264615411446926, 0.0359799365153615, 0.3442898999246285, -0.5353273932339028,
)  # fmt: skip
K0_FAR = (
    5.300433772686263e-18, -1.6475804301524212e-17, 5.2103915050390274e-17, -1.678231096805412e-16, 5.512055978524319e-16,
    -1.848593377343779e-15, 6.3400764774050706e-15, -2.2275133269916698e-14, 8.032890775363575e-14, -2.9800969231727303e-13,
    1.140340588208475e-12, -4.514597883373944e-12, 1.8559491149547177e-11, -7.957489244477107e-11, 3.577397281400301e-10,
    -1.69753450938906e-09, 8.574034017414225e-09, -4.660489897687948e-08, 2.766813639445015e-07, -1.8317555227191195e-06,
    1.39498137188765e-05, -0.00012849549581627802, 0.0015698838857300533, -0.0314481013119645, 2.4403030820659555,
)  # fmt: skip
K1_NEAR = (
    -7.023863479386288e-18, -2.427449850519366e-15, -6.666901694199329e-13, -1.4114883926335278e-10, -2.213387630734726e-08,
    -2.4334061415659684e-06, -0.0001730288957513052, -0.006975723859639864, -0.12261118082265715, -0.3531559607765449,
    1.5253002273389478,
)  # fmt: skip
K1_FAR = (
    -5.756744483665017e-18, 1.7940508731475592e-17, -5.689462558442859e-17, 1.838093544366639e-16, -6.057047248373319e-16,
    2.038703165624334e-15, -7.019837090418314e-15, 2.4771544244813043e-14, -8.976705182324994e-14, 3.3484196660784293e-13,
    -1.2891739609510289e-12, 5.13963967348173e-12, -2.1299678384275683e-11, 9.218315187605006e-11, -4.1903547593418965e-10,
    2.015049755197033e-09, -1.0345762465678097e-08, 5.7410841254500495e-08, -3.5019606030878126e-07, 2.406484947837217e-06,
    -1.936197974166083e-05, 0.00019521551847135162, -0.002857816859622779, 0.10392373657681724, 2.7206261904844427,
)  # fmt: skip
AIRY_AN = (
    0.346538101525629, 12.007595273964581, 76.27960536152345, 168.08922493463058, 159.75639135016442, 70.53609068404442,
    14.026469116338967, 1.0,
)  # fmt: skip
AIRY_AD = (
    0.5675945326387702, 14.75625625848472, 84.51389701414746, 177.31808814540045, 164.2346928715297, 71.47784008255756,
    14.095913560783403, 1.0,
)  # fmt: skip
AIRY_AFN = (
    -0.1316963234183318, -0.6264565444319123, -0.6931580360369335, -0.2797799815451191, -0.04919001326095003, -0.004062659235948854,
    -0.0001592764962392621, -2.776491081552329e-06, -1.6778769848911465e-08,
)  # fmt: skip
AIRY_AFD = (
    1.0, 13.356042070655324, 32.682503279522464, 26.736704094149957, 9.187074029072596, 1.4752914677166642, 0.11568717379518804,
    0.004402916416152112, 7.547203482874142e-05, 4.5185009297058035e-07,
)  # fmt: skip
AIRY_AGN = (
    0.01973399320916857, 0.39110302961568827, 1.0657989759959559, 0.9391692298166502, 0.35146565610554764, 0.06338889196289255,
    0.005858041130483885, 0.000282851600836737, 6.98793669997261e-06, 8.117892395543892e-08, 3.415517847659236e-10,
)  # fmt: skip
AIRY_AGD = (
    1.0, 9.30892908077442, 19.835292871831214, 15.564662893286462, 5.476860694229755, 0.9542936116189619, 0.08645808263523921,
    0.004126565238242226, 0.00010125908511650914, 1.1716673321441352e-06, 4.9183457006293e-09,
)  # fmt: skip


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """The first coefficient is that of the highest power; Horner's rule."""
    y: Any = coefficients[0]
    for c in coefficients[1:]:
        y = y * x + c
    return y


def chebyshev(x: Any, coefficients: Sequence[float]) -> Any:
    """Half the sum of coefficients times Chebyshev polynomials of x / 2, the highest first; Clenshaw's rule."""
    a: Any = coefficients[0]
    p: Any = 0.0
    q: Any = 0.0
    for c in coefficients[1:]:
        p, q = q, a
        a = x * q - p + c
    return 0.5 * (a - p)


def within(condition: Any, x: Any, safe: float) -> Any:
    """x where the branch that reads it is taken, elsewhere a number that does no harm, also in derivatives."""
    return s.where(condition, x, safe)


# Of the first and second kind


def far(x: Any, tables: tuple, order: int, second: bool) -> Any:
    """Hankel's expansion beyond 5: P cos(x - phase) - (5 / x) Q sin(x - phase), or its partner, over sqrt(pi x / 2)."""
    p, p_over, q, q_over = tables
    z = 25.0 / (x * x)
    even, odd = polynomial(z, p) / polynomial(z, p_over), 5.0 / x * (polynomial(z, q) / polynomial(z, q_over))
    sine, cosine = s.sin(x), s.cos(x)
    c, d = (cosine + sine, sine - cosine) if order == 0 else (sine - cosine, -(sine + cosine))  # sqrt(2) times cos and sin of x - phase
    return (even * d + odd * c if second else even * c - odd * d) / (math.sqrt(math.pi) * s.sqrt(x))


def j0(x: Any) -> Any:
    a = s.abs(x)
    near = s.le(a, 5)
    z = within(near, x * x, 1.0)
    low = (z - 5.783185962946784521) * (z - 30.4712623436620863991) * polynomial(z, J0_NEAR) / polynomial(z, J0_NEAR_OVER)
    high = far(within(s.gt(a, 5) & s.lt(a, math.inf), a, 6.0), (J0_P, J0_P_OVER, J0_Q, J0_Q_OVER), 0, False)
    return s.where(near, low, s.where(s.eq(a, math.inf), 0, s.where(s.ne(x, x), x, high)))


def j1_near(x: Any) -> Any:
    """j1(x) / x up to 5."""
    z = within(s.le(s.abs(x), 5), x * x, 1.0)
    return (z - 14.6819706421238932572) * (z - 49.2184563216946036703) * polynomial(z, J1_NEAR) / polynomial(z, J1_NEAR_OVER)


def j1(x: Any) -> Any:
    a = s.abs(x)
    high = far(within(s.gt(a, 5) & s.lt(a, math.inf), a, 6.0), (J1_P, J1_P_OVER, J1_Q, J1_Q_OVER), 1, False)
    return s.where(s.le(a, 5), x * j1_near(x), s.where(s.eq(a, math.inf), 0, s.where(s.ne(x, x), x, s.sign(x) * high)))


def j1_over_x(x: Any) -> Any:
    a = s.abs(x)
    return s.where(s.le(a, 5), j1_near(x), j1(x) / within(s.gt(a, 5), x, 6.0))


def y0(x: Any) -> Any:
    near = s.gt(x, 0) & s.le(x, 5)
    a = within(near, x, 1.0)
    low = polynomial(a * a, Y0_NEAR) / polynomial(a * a, Y0_NEAR_OVER) + 2 / math.pi * s.log(a) * j0(a)
    high = far(within(s.gt(x, 5) & s.lt(x, math.inf), x, 6.0), (J0_P, J0_P_OVER, J0_Q, J0_Q_OVER), 0, True)
    return s.where(near, low, edges(x, high, -math.inf))


def y1(x: Any) -> Any:
    near = s.gt(x, 0) & s.le(x, 5)
    a = within(near, x, 1.0)
    low = a * (polynomial(a * a, Y1_NEAR) / polynomial(a * a, Y1_NEAR_OVER)) + 2 / math.pi * (j1(a) * s.log(a) - 1 / a)
    high = far(within(s.gt(x, 5) & s.lt(x, math.inf), x, 6.0), (J1_P, J1_P_OVER, J1_Q, J1_Q_OVER), 1, True)
    return s.where(near, low, edges(x, high, -math.inf))


def edges(x: Any, y: Any, at_zero: float) -> Any:
    """y for positive x; the limit at 0 and inf, nan below."""
    return s.where(s.gt(x, 0), s.where(s.eq(x, math.inf), 0, y), s.where(s.eq(x, 0), at_zero, math.nan))


# Modified, of the first kind (times exp(-abs(x))) and of the second (times exp(x))


def i0_scaled(x: Any) -> Any:
    a = s.abs(x)
    near = s.le(a, 8)
    low, b = chebyshev(within(near, a, 1.0) * 0.5 - 2.0, I0_NEAR), within(s.gt(a, 8), a, 9.0)
    return s.where(near, low, s.where(s.ne(x, x), x, chebyshev(32.0 / b - 2.0, I0_FAR) / s.sqrt(b)))


def i1_near(x: Any) -> Any:
    """i1(x) / x times exp(-abs(x)) up to 8."""
    return chebyshev(within(s.le(s.abs(x), 8), s.abs(x), 1.0) * 0.5 - 2.0, I1_NEAR)


def i1_scaled(x: Any) -> Any:
    a = s.abs(x)
    b = within(s.gt(a, 8), a, 9.0)
    high = s.copysign(1.0, x) * chebyshev(32.0 / b - 2.0, I1_FAR) / s.sqrt(b)
    return s.where(s.le(a, 8), x * i1_near(x), s.where(s.ne(x, x), x, high))


def i1_over_x_scaled(x: Any) -> Any:
    a = s.abs(x)
    return s.where(s.le(a, 8), i1_near(x), i1_scaled(x) / within(s.gt(a, 8), x, 9.0))


def growing(x: Any, scaled: Any) -> Any:
    """scaled times exp(abs(x)), in two factors, as the exponential overflows first."""
    e = s.exp(0.5 * s.abs(x))
    return s.where(s.eq(s.abs(x), math.inf), s.abs(x) * s.copysign(1.0, scaled), scaled * e * e)


def k0_near(a: Any) -> Any:
    return chebyshev(a * a - 2.0, K0_NEAR) - s.log(0.5 * a) * growing(a, i0_scaled(a))


def k1_near(a: Any) -> Any:
    return s.log(0.5 * a) * growing(a, i1_scaled(a)) + chebyshev(a * a - 2.0, K1_NEAR) / a


def decaying(x: Any, near_formula: Any, table: tuple, scaled: bool) -> Any:
    near = s.gt(x, 0) & s.le(x, 2)
    a, b = within(near, x, 1.0), within(s.gt(x, 2) & s.lt(x, math.inf), x, 3.0)
    low, high = near_formula(a), chebyshev(8.0 / b - 2.0, table) / s.sqrt(b)
    low, high = (low * s.exp(a), high) if scaled else (low, s.exp(-b) * high)
    return s.where(near, low, edges(x, high, math.inf))


def k0(x: Any) -> Any:
    return decaying(x, k0_near, K0_FAR, False)


def k1(x: Any) -> Any:
    return decaying(x, k1_near, K1_FAR, False)


def k0_scaled(x: Any) -> Any:
    return decaying(x, k0_near, K0_FAR, True)


def k1_scaled(x: Any) -> Any:
    return decaying(x, k1_near, K1_FAR, True)


# The operations


def special(name: str, text: str, example: str, formula: Any, slope: Any, domain: tuple[float, float] = (-7.0, 7.0)) -> Operation:
    """``formula`` as an operation; ``slope(y, x)`` is its derivative; ``example`` is what is printed of its values at 1 and 2."""

    def call(x):
        return formula(x)

    call.__name__, call.__module__ = name, __name__
    call.__doc__ = f"{text}\n\n    >>> gf.special.{name}(gf.tensor([1.0, 2.0]))\n    tensor({example})\n    "
    backward = "".join(word.capitalize() for word in name.split("_"))
    grad_name = "I0Backward0" if name == "i0" else f"Special{backward}Backward0"
    op = elementwise(grad_name=grad_name, domain=domain, ulp=32)(call)

    @op.partial
    def partial(y, x):
        return (slope(y, x),)

    return op


def i1_slope(x: Any) -> Any:
    return growing(x, i0_scaled(x)) - growing(x, i1_over_x_scaled(x))


POSITIVE = (0.2, 9.0)
i0 = special(
    "i0",
    "The modified Bessel function of the first kind of order 0.",
    "[1.2661, 2.2796]",
    lambda x: growing(x, i0_scaled(x)),
    lambda y, x: growing(x, i1_scaled(x)),
)
i0e = special(
    "i0e",
    "``exp(-abs(x)) * i0(x)``: :func:`i0` without its growth.",
    "[0.4658, 0.3085]",
    i0_scaled,
    lambda y, x: i1_scaled(x) - s.sign(x) * y,
)
i1 = special(
    "i1",
    "The modified Bessel function of the first kind of order 1.",
    "[0.5652, 1.5906]",
    lambda x: growing(x, i1_scaled(x)),
    lambda y, x: i1_slope(x),
)
i1e = special(
    "i1e",
    "``exp(-abs(x)) * i1(x)``: :func:`i1` without its growth.",
    "[0.2079, 0.2153]",
    i1_scaled,
    lambda y, x: i0_scaled(x) - i1_over_x_scaled(x) - s.sign(x) * y,
)
bessel_j0 = special("bessel_j0", "The Bessel function of the first kind of order 0.", "[0.7652, 0.2239]", j0, lambda y, x: -j1(x))
bessel_j1 = special(
    "bessel_j1", "The Bessel function of the first kind of order 1.", "[0.4401, 0.5767]", j1, lambda y, x: j0(x) - j1_over_x(x)
)
bessel_y0 = special(
    "bessel_y0", "The Bessel function of the second kind of order 0; nan below 0.", "[0.0883, 0.5104]", y0, lambda y, x: -y1(x), POSITIVE
)
bessel_y1 = special(
    "bessel_y1",
    "The Bessel function of the second kind of order 1; nan below 0.",
    "[-0.7812, -0.1070]",
    y1,
    lambda y, x: y0(x) - y / x,
    POSITIVE,
)
modified_bessel_k0 = special(
    "modified_bessel_k0",
    "The modified Bessel function of the second kind of order 0; nan below 0.",
    "[0.4210, 0.1139]",
    k0,
    lambda y, x: -k1(x),
    POSITIVE,
)
modified_bessel_k1 = special(
    "modified_bessel_k1",
    "The modified Bessel function of the second kind of order 1; nan below 0.",
    "[0.6019, 0.1399]",
    k1,
    lambda y, x: -k0(x) - y / x,
    POSITIVE,
)
scaled_modified_bessel_k0 = special(
    "scaled_modified_bessel_k0",
    "``exp(x) * modified_bessel_k0(x)``: finite where the function itself is 0.",
    "[1.1445, 0.8416]",
    k0_scaled,
    lambda y, x: y - k1_scaled(x),
    POSITIVE,
)
scaled_modified_bessel_k1 = special(
    "scaled_modified_bessel_k1",
    "``exp(x) * modified_bessel_k1(x)``: finite where the function itself is 0.",
    "[1.6362, 1.0335]",
    k1_scaled,
    lambda y, x: y - k0_scaled(x) - y / x,
    POSITIVE,
)


@elementwise(grad_name="SpecialSphericalBesselJ0Backward0", domain=(-7.0, 7.0), ulp=16)
def spherical_bessel_j0(x):
    """``sin(x) / x``, and 1 at 0: the spherical Bessel function of the first kind of order 0.

    >>> gf.special.spherical_bessel_j0(gf.tensor([0.0, 1.0]))
    tensor([1.0000, 0.8415])
    """
    z = s.where(s.eq(x, 0) | s.eq(s.abs(x), math.inf), 1.0, x)
    return s.where(s.eq(x, 0), 1, s.where(s.eq(s.abs(x), math.inf), 0, s.sin(z) / z))


@spherical_bessel_j0.partial
def spherical_bessel_j0_partial(y, x):
    near = s.lt(s.abs(x), 0.1)
    z = within(s.ge(s.abs(x), 0.1), x, 1.0)
    return s.where(near, x * polynomial(x * x, (1 / 45360, -1 / 840, 1 / 30, -1 / 3)), (s.cos(z) - s.sin(z) / z) / z)


def airy_series(first: int) -> tuple[float, ...]:
    """The coefficients, of x ** 3, of one of the two power series that solve y'' = x y."""
    c = [1.0]
    for k in range(first, 48, 3):
        c.append(c[-1] / (k * (k - 1)))
    return tuple(reversed(c))


@elementwise(smooth=True, grad_name="SpecialAiryAiBackward0", ulp=32)
def airy_ai(x):
    """The Airy function of the first kind: the solution of y'' = x y that vanishes at inf.

    >>> gf.special.airy_ai(gf.tensor([0.0, 1.0]))
    tensor([0.3550, 0.1353])
    """
    z = within(s.lt(s.abs(x), 2.09), x, 1.0)
    middle = 0.355028053887817239260 * polynomial(z * z * z, airy_series(3)) - 0.258819403792806798405 * z * polynomial(
        z * z * z, airy_series(4)
    )
    a = within(s.ge(s.abs(x), 2.09) & s.lt(s.abs(x), math.inf), s.abs(x), 3.0)
    root = s.sqrt(a)
    t = 2.0 * a * root / 3.0
    w = 1 / t
    v = w * w
    even = 1.0 + v * polynomial(v, AIRY_AFN) / polynomial(v, AIRY_AFD)
    odd = w * polynomial(v, AIRY_AGN) / polynomial(v, AIRY_AGD)
    scale = 0.5641895835477562869 / s.sqrt(root)
    below = scale * (s.sin(t + 0.25 * math.pi) * even - s.cos(t + 0.25 * math.pi) * odd)
    above = 0.5 * scale * s.exp(-t) * polynomial(w, AIRY_AN) / polynomial(w, AIRY_AD)
    outside = s.where(s.eq(s.abs(x), math.inf), math.nan, s.where(s.lt(x, 0), below, above))
    return s.where(s.lt(s.abs(x), 2.09), middle, s.where(s.ne(x, x), x, outside))
