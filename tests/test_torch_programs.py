"""Habits of programs that were written for PyTorch."""

import pickle
from typing import ClassVar

import numpy as np
import pytest

import gradflow as gf


def test_batch_norm_loads_a_plain_dict_without_the_count(torch):
    """Files from before the count, and dictionaries that programs put together, need not have it."""
    for lib in (torch, gf):
        state = {name: value + 1 for name, value in lib.nn.BatchNorm1d(2).state_dict().items() if name != "num_batches_tracked"}
        layer = lib.nn.BatchNorm1d(2)
        layer.load_state_dict(state)
        assert layer.running_mean.tolist() == [1, 1] and layer.num_batches_tracked == 0
        outer = lib.nn.Sequential(lib.nn.BatchNorm1d(2))
        outer.load_state_dict({f"0.{name}": value for name, value in state.items()})
        new = lib.nn.BatchNorm1d(2).state_dict()
        del new["num_batches_tracked"]  # a newer file says that it has the count
        with pytest.raises(RuntimeError, match="num_batches_tracked"):
            layer.load_state_dict(new)


def test_bags_of_given_rows(torch):
    rows = np.arange(6, dtype="f").reshape(3, 2)
    for mode in ("sum", "mean", "max"):
        for freeze in (True, False):
            theirs, ours = (lib.nn.EmbeddingBag.from_pretrained(lib.tensor(rows), freeze, mode=mode, padding_idx=1) for lib in (torch, gf))
            a, b = theirs(torch.tensor([[0, 1], [2, 2]])), ours(gf.tensor([[0, 1], [2, 2]]))
            assert a.tolist() == b.tolist() and a.requires_grad == b.requires_grad and repr(theirs) == repr(ours)
    with pytest.raises(ValueError, match="2-dimensional"):
        gf.nn.EmbeddingBag.from_pretrained(gf.ones(3))


def test_contiguous_in_which_order(torch):
    for lib in (torch, gf):
        image, volume = lib.ones(2, 4, 5, 3), lib.ones(2, 4, 5, 6, 3)
        last = image.permute(0, 3, 1, 2)
        assert not last.is_contiguous() and last.is_contiguous(memory_format=lib.channels_last)
        assert not image.is_contiguous(memory_format=lib.channels_last) and image.is_contiguous(memory_format=lib.contiguous_format)
        assert volume.permute(0, 4, 1, 2, 3).is_contiguous(memory_format=lib.channels_last_3d)
        assert not lib.ones(3).is_contiguous(memory_format=lib.channels_last)
        assert lib.ones(2, 1, 3, 3).is_contiguous(memory_format=lib.channels_last)
        assert image.is_contiguous(memory_format=lib.preserve_format) and not last.is_contiguous(memory_format=lib.preserve_format)
        with pytest.raises(TypeError):
            image.is_contiguous(memory_format=3)


def test_results_are_pickled_as_leaves(torch):
    for lib in (torch, gf):
        y = lib.ones(2, requires_grad=True) * 2
        z = pickle.loads(pickle.dumps(y))
        assert z.tolist() == [2, 2] and z.requires_grad and z.is_leaf


def test_subclasses_keep_their_type(torch):
    def run(t):
        class Image(t.Tensor):
            def __add__(self, other):
                return super().__add__(other)

        class Logged(t.Tensor):
            seen: ClassVar[list] = []

            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                cls.seen.append(getattr(func, "__name__", ""))
                return super().__torch_function__(func, types, args, kwargs or {})

        leaf = t.ones(2, 2, requires_grad=True)
        x = leaf.as_subclass(Image)
        results = [x + 1, 1 + x, t.ones(2, 2) - x, x @ x, x[0], x.T, x.sum(), x.detach(), x.data, -x, x == x, *x.unbind(0), *x.max(0)]
        results += [x.double(), Image([1, 2]), t.nn.Parameter(t.ones(2)) * 2, x.tolist(), x.detach().add_(1)]
        (x * x).sum().backward()
        y = t.ones(2).as_subclass(Logged)
        kinds = [type(r).__name__ for r in [*results, y.mul(2), y.sum()]]
        return kinds, leaf.grad.tolist(), [name for name in Logged.seen if name in ("mul", "sum")]

    assert run(gf) == run(torch)
    assert gf.overrides.is_tensor_like(gf.ones(1)) and not gf.overrides.has_torch_function((gf.ones(1), gf.nn.Parameter(gf.ones(1)), 1))


def test_the_first_that_answers(torch):
    def run(t, overrides):
        class Base:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return cls.__name__, [kind.__name__ for kind in types], args

        class Derived(Base):
            pass

        class Silent:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return NotImplemented

        def public(*args):
            return overrides.handle_torch_function(public, args, *args)

        with pytest.raises(TypeError, match="no implementation found"):
            public(Silent())
        found = public(Base(), Derived(), Silent(), 3)
        return found[:2], overrides.has_torch_function((1, Base())), overrides.is_tensor_like(Base()), overrides.is_tensor_like([])

    import torch.overrides

    assert run(gf, gf.overrides) == run(torch, torch.overrides)
    with pytest.raises(TypeError, match="as_subclass: cls must be a subclass of Tensor"):
        gf.ones(1).as_subclass(int)
