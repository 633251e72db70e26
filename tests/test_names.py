"""The names of torch that programs use are here: a count over some two hundred programs for teaching, without what there is no room for
(distributed training, fx, onnx, quantization, sparse and complex tensors)."""

import pathlib

import pytest

import gradflow as gf

ROOTS = {
    "torch": gf,
    "Tensor": gf.Tensor,
    "Module": gf.nn.Module,
    "Optimizer": gf.optim.Optimizer,
    "LRScheduler": gf.optim.lr_scheduler.LRScheduler,
    "GradScaler": gf.amp.GradScaler,
}
NAMES = (pathlib.Path(__file__).parent / "torch_names.txt").read_text().split()
OF_INSTANCES = {"Optimizer.param_groups"}
# What is counted and left out: processes, TensorBoard's and other packages' doors, complex and sparse tensors.
LEFT_OUT = """futures accelerator.device_index serialization.safe_globals nn.parallel.scatter nn.parallel.data_parallel
    autograd.profiler nn.Module.share_memory view_as_real classes cuda.nccl ops.profiler polar spmm utils.tensorboard""".split()


def test_the_names_that_programs_use():
    missing = []
    for name in set(NAMES) - OF_INSTANCES:
        root, *path = name.split(".")
        place = ROOTS[root]
        for part in path:
            place = getattr(place, part, None)
        if place is None:
            missing.append(name)
    assert not missing


def test_variables_are_tensors():
    data = gf.ones(2)
    x = gf.autograd.Variable(data, requires_grad=True)
    assert x.requires_grad and x.is_leaf and x.data_ptr() == data.data_ptr() and isinstance(data, gf.autograd.Variable)
    assert not gf.autograd.Variable(x * 2).requires_grad and gf.autograd.Variable().shape == (0,)
    with pytest.raises(TypeError, match="has to be a tensor"):
        gf.autograd.Variable([1.0])


def test_places_that_annotations_come_from():
    from gradflow.autograd.variable import Variable
    from gradflow.nn.common_types import _size_2_t
    from gradflow.types import Device, Number

    assert Variable is gf.autograd.Variable and tuple[int, int] in _size_2_t.__args__
    assert isinstance(2.0, Number) and gf.device in Device.__args__


def test_what_is_left_out_is_not_there():
    for name in LEFT_OUT:
        place = gf
        for part in name.split("."):
            place = getattr(place, part, None)
        assert place is None, f"{name} is there; count it in torch_names.txt"
