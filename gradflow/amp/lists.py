"""Which operations compute in which type under autocast: torch's lists, for each kind of device."""

from __future__ import annotations

LOWER, WIDE, WIDEST, KEPT, REFUSED = "lower", "wide", "widest", "kept", "refused"

# The type that was asked for (float16, bfloat16): where products of matrices are made.
PRODUCTS = """
    matmul __matmul__ __rmatmul__ mm bmm addmm baddbmm addbmm linear einsum tensordot chain_matmul multi_dot vecdot prelu
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d scaled_dot_product_attention multi_head_attention_forward
"""

LOSSES = """
    binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss
    multi_margin_loss multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss ctc_loss
"""

LISTS = {
    "cpu": {
        LOWER: PRODUCTS,
        # float32: what is inexact or not there in fewer bits
        WIDE: LOSSES + """
            binary_cross_entropy prod trace cdist quantile nanquantile grid_sample avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d
            fractional_max_pool2d fractional_max_pool3d max_unpool1d max_unpool2d max_unpool3d
            cholesky cholesky_inverse cholesky_solve inverse pinverse lu_solve orgqr ormqr geqrf qr svd lu triangular_solve
            linalg.cholesky linalg.cholesky_ex linalg.cond linalg.eig linalg.eigvals linalg.eigh linalg.eigvalsh linalg.householder_product
            linalg.inv linalg.inv_ex linalg.lstsq linalg.matrix_rank linalg.qr linalg.solve linalg.svd linalg.svdvals linalg.tensorinv
            linalg.tensorsolve linalg.lu linalg.lu_factor linalg.lu_solve linalg.ldl_factor
        """,
        # float32 if one operand is, else the type that was asked for
        WIDEST: "stack cat concat concatenate index_copy",
        KEPT: "dot vdot mv addmv",  # as they come, though they are products
    },
    "cuda": {
        LOWER: PRODUCTS.replace("tensordot", "") + "mv addmv addr",
        WIDE: LOSSES + """
            acos arccos asin arcsin cosh erfinv exp expm1 log log10 log2 log1p reciprocal __rtruediv__ rsqrt sinh tan pow __pow__ __rpow__ softplus
            layer_norm rms_norm group_norm instance_norm norm cosine_similarity pdist cdist renorm logsumexp dist normalize
            prod softmax log_softmax softmin cumprod cumsum sum
        """,
        WIDEST: "addcdiv addcmul atan2 arctan2 bilinear cross linalg.cross dot vdot grid_sample index_put tensordot scatter_add cat concat concatenate stack",
        REFUSED: "binary_cross_entropy",
    },
}  # fmt: skip


def policies() -> dict[str, dict[str, str]]:
    """For every operation that is listed, what is done with its operands on each kind of device."""
    found: dict[str, dict[str, str]] = {}
    for where, lists in LISTS.items():
        for policy, names in lists.items():
            for name in names.split():
                found.setdefault(name, {})[where] = policy
    return found
