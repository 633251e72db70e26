"""The names of torch that programs use are here: a count over some two hundred programs for teaching, without what there is no room for
(distributed training, fx, onnx, quantization, sparse and complex tensors)."""

import copy
import importlib
import inspect
import pathlib
import pickle

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


def test_files_of_torch():
    """What programs import from PyTorch's files is found under the same path."""
    from gradflow.utils.data._utils.collate import default_collate

    from gradflow.optim import adadelta, adagrad, adamax, adamw, asgd, radam, rmsprop

    assert adamw.AdamW is gf.optim.AdamW and rmsprop.RMSprop is gf.optim.RMSprop and radam.RAdam is gf.optim.RAdam
    assert adagrad.Adagrad and adadelta.Adadelta and adamax.Adamax and asgd.ASGD
    assert default_collate is gf.utils.data.default_collate
    with pytest.raises(AttributeError, match="no sparse gradients; use Adam"):
        gf.optim.SparseAdam  # noqa: B018


def test_pytree(torch):
    import torch.utils._pytree as theirs

    from gradflow.utils import _pytree as ours

    tree = {"a": 1, "b": [2, (3, None)], "c": {}}
    for t in (ours, theirs):
        leaves, spec = t.tree_flatten(tree)
        assert leaves == [1, 2, 3, None] == t.tree_leaves(tree) and t.tree_unflatten(leaves, spec) == tree
        assert t.tree_map(lambda x, y: (x, y), [1, (2,)], [3, (4,)]) == [(1, 3), ((2, 4),)]
        assert t.tree_map_only(int, lambda x: -x, tree)["b"] == [-2, (-3, None)]
        assert t.tree_any(lambda x: x == 3, tree) and not t.tree_all(lambda x: x == 3, tree)
        assert spec == t.tree_structure(tree) != t.tree_structure([1])
        for wrong in (lambda t=t: t.tree_map(max, [1, 2], [3]), lambda t=t, spec=spec: t.tree_unflatten([1], spec)):
            with pytest.raises(ValueError):
                wrong()


def test_benchmark():
    from gradflow.utils.benchmark import Compare, Timer

    timers = [Timer(f"x {op} x", "x = y + 1", globals={"y": 1}, label="ints", sub_label=op, description="gf") for op in "+*"]
    once = timers[0].timeit(50)
    assert (once.number_per_run, len(once.times)) == (50, 1) and 0 < once.mean == once.median and once.iqr == 0
    several = timers[1].blocked_autorange(min_run_time=0.005)
    assert len(several.times) > 1 and sum(several.raw_times) >= 0.005 and "ints: *" in repr(several)
    assert timers[0].adaptive_autorange(10.0).median > 0
    table = str(Compare([once, several]))
    assert [line.split(" | ")[0].strip() for line in table.splitlines()] == ["ints", "+", "*"]
    with pytest.raises(ValueError, match="Timer: only statements"):
        Timer("x", language="c++")


@pytest.mark.parametrize(
    "place", ["gradflow", "gradflow.nn.functional", "gradflow.linalg", "gradflow.special", "gradflow.fft", "gradflow.nn.init"]
)
def test_functions_are_pickled_by_name(place):
    """Layers hold some of them: ``TransformerEncoderLayer(activation=F.gelu)``."""
    module = importlib.import_module(place)
    functions = [f for name, f in vars(module).items() if name[0] != "_" and inspect.isroutine(f)]
    assert len(functions) > 10
    for f in functions:
        assert pickle.loads(pickle.dumps(f)) is f and copy.deepcopy(f) is f
    if place == "gradflow.nn.functional":
        layer = gf.nn.TransformerEncoderLayer(4, 2, activation=module.gelu)
        assert pickle.loads(pickle.dumps(layer)).activation is module.gelu
