"""Attention, the Transformer and resizing, against torch."""

import numpy as np
import pytest
from compare import same
from test_space import F, agree, data, pair

import gradflow as gf


def test_a_row_that_is_all_masked_gets_zeros():
    q = gf.ones(2, 3, requires_grad=True)
    y = gf.nn.functional.scaled_dot_product_attention(q, q, q, gf.tensor([[True, False], [False, False]]))
    y.sum().backward()
    assert y.tolist() == [[1.0] * 3, [0.0] * 3]
    assert q.grad is not None
    assert not q.grad.isnan().any()


def test_fold_is_the_adjoint_of_unfold():
    x = gf.tensor(data(2, 3, 6, 5))
    columns = gf.nn.functional.unfold(x, (3, 2), (1, 2), (1, 0), 2)
    c = gf.tensor(data(*columns.shape))
    back = gf.nn.functional.fold(c, (6, 5), (3, 2), (1, 2), (1, 0), 2)
    np.testing.assert_allclose((columns * c).sum().item(), (x * back).sum().item(), rtol=1e-12)


MASK = np.tril(np.ones((4, 4), bool))
FUNCTIONS = {
    "attention": lambda t, x: F(t).scaled_dot_product_attention(x, x * 2, x.sin()),
    "causal": lambda t, x: F(t).scaled_dot_product_attention(x, x * 2, x.sin(), is_causal=True, scale=0.3),
    "masked": lambda t, x: F(t).scaled_dot_product_attention(x[0, 0], x[0, 1], x[0, 1], t.tensor(MASK[:, :4])),
    "grouped": lambda t, x: F(t).scaled_dot_product_attention(x, x[:, :1], x[:, 1:], enable_gqa=True),
    "unfold": lambda t, x: F(t).unfold(x, (3, 2), padding=1, stride=2) ** 2,
    "fold": lambda t, x: F(t).fold(x.reshape(2, 4, 10), (3, 6), 2) ** 2,
    "nearest": lambda t, x: F(t).interpolate(x, (7, 3)) ** 2,
    "nearest-exact": lambda t, x: F(t).interpolate(x, scale_factor=(1.7, 0.6), mode="nearest-exact") ** 2,
    "linear": lambda t, x: F(t).interpolate(x[0], 9, mode="linear") ** 2,
    "bilinear": lambda t, x: F(t).interpolate(x, scale_factor=1.7, mode="bilinear") ** 2,
    "bilinear corners": lambda t, x: F(t).interpolate(x, (7, 1), mode="bilinear", align_corners=True) ** 2,
    "bilinear small": lambda t, x: F(t).interpolate(x, (2, 3), mode="bilinear", antialias=True) ** 2,
    "bicubic": lambda t, x: F(t).interpolate(x, (7, 3), mode="bicubic") ** 2,
    "bicubic small": lambda t, x: F(t).interpolate(x, (2, 3), mode="bicubic", antialias=True) ** 2,
    "trilinear": lambda t, x: F(t).interpolate(x.unsqueeze(0), scale_factor=2, mode="trilinear", recompute_scale_factor=True) ** 2,
    "area": lambda t, x: F(t).interpolate(x, (3, 2), mode="area") ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(torch, name):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):  # the only one of torch's that has second derivatives
        same(torch, FUNCTIONS[name], [data(2, 2, 4, 5)], rtol=1e-6, atol=1e-8)


A, B = data(5, 3, 8), data(4, 3, 8)
MODULES = {
    "attention": (lambda n: n.MultiheadAttention(8, 2), A, B, B),
    "attention without a batch": (lambda n: n.MultiheadAttention(8, 2), A[:, 0], B[:, 0], B[:, 0]),
    "attention of other sizes": (
        lambda n: n.MultiheadAttention(8, 2, kdim=5, vdim=6, add_bias_kv=True, add_zero_attn=True), A, data(4, 3, 5), data(4, 3, 6),
    ),
    "encoder layer": (lambda n: n.TransformerEncoderLayer(8, 2, 16, 0.0), A),
    "encoder layer, norm first": (lambda n: n.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True), A),
    "encoder": (lambda n: n.TransformerEncoder(n.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2, n.LayerNorm(8)), A),
    "decoder layer": (lambda n: n.TransformerDecoderLayer(8, 2, 16, 0.0), A, B),
    "transformer": (lambda n: n.Transformer(8, 2, 1, 2, 16, 0.0), A, B),
    "upsample": (lambda n: n.Upsample(scale_factor=2, mode="bilinear"), data(2, 3, 4, 5)),
    "unfold and fold": (lambda n: n.Sequential(n.Unfold(2, stride=2), n.Fold((4, 6), 2, stride=2)), data(2, 3, 4, 6)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", MODULES)
def test_modules(torch, name):
    make, *arrays = MODULES[name]
    agree(torch, make, *arrays)


@pytest.mark.parametrize("masks", ["attn", "padding", "both", "numbers"])
def test_masks(torch, masks):
    hidden = np.triu(np.ones((5, 5), bool), 1)
    padding = np.arange(5) >= np.array([5, 3, 4])[:, None]
    given = {"attn": {"attn_mask": hidden}, "padding": {"key_padding_mask": padding}, "numbers": {"attn_mask": hidden * -2.5}}
    given["both"] = given["attn"] | given["padding"]
    results = []
    for t, module in zip((torch, gf), pair(torch, lambda n: n.MultiheadAttention(8, 2).double()), strict=True):
        x = t.tensor(A, requires_grad=True)
        y, weights = module(x, x, x, **{name: t.tensor(mask) for name, mask in given[masks].items()}, average_attn_weights=False)
        (y**2).sum().backward()
        results.append([v.detach().numpy() for v in (y, weights, x.grad)])
    for want, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


WRONG = {
    "dtype": lambda t, z: F(t).scaled_dot_product_attention(z(2, 3), z(2, 3).double(), z(2, 3)),
    "axes": lambda t, z: F(t).scaled_dot_product_attention(z(3), z(3), z(3)),
    "heads": lambda t, z: t.nn.MultiheadAttention(8, 3),
    "mask of integers": lambda t, z: F(t).scaled_dot_product_attention(z(2, 3), z(2, 3), z(2, 3), z(2, 2).long()),
    "fold": lambda t, z: F(t).fold(z(1, 4, 5), (4, 4), 2),
    "unfold": lambda t, z: F(t).unfold(z(1, 1, 2, 2), 3),
    "size and factor": lambda t, z: F(t).interpolate(z(1, 1, 2), 3, 2.0),
    "corners": lambda t, z: F(t).interpolate(z(1, 1, 2), 3, align_corners=True),
    "mode": lambda t, z: F(t).interpolate(z(1, 1, 2), 3, mode="bilinear"),
    "empty": lambda t, z: F(t).interpolate(z(1, 1, 2), 0),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_of_torchs_kind(torch, name):
    caught = []
    for t in (torch, gf):
        with pytest.raises(Exception) as error:
            WRONG[name](t, lambda *shape, t=t: t.ones(*shape))
        caught.append(error.value)
    assert isinstance(caught[1], type(caught[0])), f"{caught[0]!r} in torch, here {caught[1]!r}"
    assert ": " in str(caught[1])
