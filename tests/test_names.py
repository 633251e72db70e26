"""The names of torch that programs use are here: a count over some two hundred programs for teaching, without what there is no room for
(distributed training, fx, onnx, quantization, sparse and complex tensors)."""

import pathlib

import gradflow as gf

ROOTS = {
    "torch": gf,
    "Tensor": gf.Tensor,
    "Module": gf.nn.Module,
    "Optimizer": gf.optim.Optimizer,
    "LRScheduler": gf.optim.lr_scheduler.LRScheduler,
}
NAMES = (pathlib.Path(__file__).parent / "torch_names.txt").read_text().split()
OF_INSTANCES = {"Optimizer.param_groups"}


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
