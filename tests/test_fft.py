"""What of torch.fft needs no complex numbers."""

import numpy as np

import gradflow as gf


def test_frequencies_and_shifts(torch):
    a = np.random.default_rng(0).standard_normal((4, 5))
    for t in (torch, gf):
        results = [t.fft.fftfreq(n, 0.5) for n in (0, 1, 4, 5)] + [t.fft.rfftfreq(n, dtype=t.float64) for n in (0, 1, 4, 5)]
        for dim in (None, 0, -1, (0, 1)):
            results += [t.fft.fftshift(t.tensor(a), dim), t.fft.ifftshift(t.tensor(a), dim)]
        if t is torch:
            wants = results
    for want, got in zip(wants, results, strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy(), strict=True)
