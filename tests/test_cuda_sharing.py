"""Memory shared with other libraries: DLPack and ``__cuda_array_interface__``. On the emulated device and the real one."""

import gc

import pytest

import gradflow as gf


class Lender:
    """An array of another library's on the device."""

    def __init__(self, tensor, only):
        self.tensor, self.only, self.streams = tensor, only, []

    def __getattr__(self, name):
        if name != self.only and (name != "__dlpack_device__" or self.only != "__dlpack__"):
            raise AttributeError(name)
        return getattr(self.tensor, name)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool", "float16"])
def test_shared_memory(device, dtype):
    for x in (gf.arange(6).reshape(2, 3), gf.arange(6).reshape(2, 3).T, gf.arange(12).reshape(2, 6)[:, ::2], gf.tensor(3), gf.zeros(0, 3)):
        x = x.to(getattr(gf, dtype)).cuda()
        assert x.__dlpack_device__() == (2, 0)
        taken = [gf.from_dlpack(x), gf.from_dlpack(gf.to_dlpack(x)), gf.from_dlpack(Lender(x, "__dlpack__"))]
        taken += [gf.as_tensor(Lender(x, "__cuda_array_interface__")), gf.asarray(Lender(x, "__cuda_array_interface__"))]
        for y in taken:
            assert y.is_cuda and y.dtype is x.dtype and y.tolist() == x.tolist()
            assert not x.numel() or (y.stride() == x.stride() and y.data_ptr() == x.data_ptr())
        if x.numel():
            taken[0].fill_(1)
            assert x.tolist() == taken[-1].tolist() and bool((x == 1).all())
        copies = gf.tensor(Lender(x, "__cuda_array_interface__")), gf.from_dlpack(x, copy=True)
        assert all(c.tolist() == x.tolist() and (c.data_ptr() != x.data_ptr() or not x.numel()) for c in copies)


def test_what_is_lent_is_kept_and_given_back(emulated):
    gc.collect()
    before = gf.cuda.memory_allocated()
    x = gf.ones(100, device="cuda")
    y = gf.from_dlpack(x)
    capsule = gf.to_dlpack(x)
    del x
    assert gf.cuda.memory_allocated() == before + 400 and y.tolist() == [1] * 100
    z = y[50:]
    del y
    gc.collect()
    assert gf.cuda.memory_allocated() == before + 400
    del z
    gc.collect()
    assert gf.cuda.memory_allocated() == before + 400  # for the capsule
    del capsule
    gc.collect()
    assert gf.cuda.memory_allocated() == before


def test_streams_wait_for_what_is_lent(emulated):
    x = gf.ones(3, device="cuda")
    emulated.log.clear()
    x.__dlpack__(stream=77)
    x.__dlpack__(stream=-1)
    x.__dlpack__()
    assert emulated.log == [("join", 77), ("join", -1), ("join", 1)]
    assert x.__cuda_array_interface__["stream"] == 1 and x.__cuda_array_interface__["version"] == 3
    with gf.cuda.stream(gf.cuda.Stream()) as _:
        assert x.__cuda_array_interface__["stream"] == gf.cuda.current_stream().cuda_stream


def test_what_cannot_be_shared(device):
    x = gf.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(BufferError, match="require gradient"):
        x.__dlpack__()
    with pytest.raises(RuntimeError, match="requires grad"):
        _ = x.__cuda_array_interface__
    assert not hasattr(gf.ones(3), "__cuda_array_interface__")
    capsule = gf.to_dlpack(x.detach())
    gf.from_dlpack(capsule)
    with pytest.raises(TypeError, match="used before"):
        gf.from_dlpack(capsule)
    with pytest.raises(BufferError, match="move it"):
        x.detach().__dlpack__(dl_device=(1, 0))


def test_dlpack_is_torchs(torch):
    """On the CPU, where there is torch to read the same structures."""
    for x in (
        torch.arange(6.0).bfloat16().reshape(2, 3).T,
        torch.arange(12)[::2],
        torch.tensor(3.0),
        torch.zeros(0, 3),
        torch.ones(2, dtype=torch.bool),
    ):
        y = gf.from_dlpack(x)
        assert y.float().tolist() == x.float().tolist() and str(y.dtype) == str(x.dtype)
        if x.numel() and x.dtype != torch.bool:
            y += 1
            assert y.float().tolist() == x.float().tolist()
        z = torch.from_dlpack(y)
        assert z.dtype == x.dtype and z.data_ptr() == x.data_ptr() and z.shape == x.shape
