"""The special functions of mathematics, under the names of ``torch.special``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .free import belong as _belong
from .methods import ALONE, FUNCTIONS
from .ops import polynomials
from .ops.bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    i0,
    i0e,
    i1,
    i1e,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    spherical_bessel_j0,
)
from .ops.error_functions import erfcx, log_ndtr, ndtr, ndtri
from .ops.gamma import entr, igamma, igammac, xlog1py, zeta
from .ops.pointwise import digamma, erf, erfc, erfinv, exp2, expm1, lgamma, log1p, sigmoid, sinc, xlogy

if TYPE_CHECKING:
    from .ops.gamma import mvlgamma, polygamma
    from .ops.numbers import logit
    from .ops.pointwise import round
    from .ops.rowwise import log_softmax, logsumexp, softmax
else:
    logit, logsumexp, log_softmax, mvlgamma, round, softmax = map(
        FUNCTIONS.get, "logit logsumexp log_softmax mvlgamma round softmax".split()
    )
    polygamma = ALONE["polygamma"]
expit = sigmoid
gammainc, gammaincc = igamma, igammac
gammaln, psi, multigammaln = lgamma, digamma, mvlgamma
modified_bessel_i0, modified_bessel_i1 = i0, i1
hermite_polynomial_h, hermite_polynomial_he = polynomials.hermite_polynomial_h, polynomials.hermite_polynomial_he
laguerre_polynomial_l, legendre_polynomial_p = polynomials.laguerre_polynomial_l, polynomials.legendre_polynomial_p
chebyshev_polynomial_t, shifted_chebyshev_polynomial_t = (polynomials.CHEBYSHEV[f"{p}chebyshev_polynomial_t"] for p in ("", "shifted_"))
chebyshev_polynomial_u, shifted_chebyshev_polynomial_u = (polynomials.CHEBYSHEV[f"{p}chebyshev_polynomial_u"] for p in ("", "shifted_"))
chebyshev_polynomial_v, shifted_chebyshev_polynomial_v = (polynomials.CHEBYSHEV[f"{p}chebyshev_polynomial_v"] for p in ("", "shifted_"))
chebyshev_polynomial_w, shifted_chebyshev_polynomial_w = (polynomials.CHEBYSHEV[f"{p}chebyshev_polynomial_w"] for p in ("", "shifted_"))

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w",
    "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w",
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit",
    "expm1", "gammainc", "gammaincc", "gammaln", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
    "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
_belong(__name__)
