"""Every public name has a docstring: a sentence, and an example that runs and prints what it says it prints."""

import doctest
import importlib
import inspect
import types

import numpy as np
import pytest

import gradflow as gf

PLACES = """
    gradflow gradflow.Tensor gradflow.linalg gradflow.special gradflow.fft gradflow.func
    gradflow.autograd gradflow.autograd.graph gradflow.autograd.functional gradflow.autograd.forward_ad
    gradflow.nn gradflow.nn.functional gradflow.nn.init gradflow.nn.utils gradflow.nn.utils.rnn gradflow.nn.utils.parametrize
    gradflow.optim gradflow.optim.lr_scheduler gradflow.optim.swa_utils
    gradflow.distributions gradflow.distributions.constraints gradflow.distributions.transforms gradflow.cuda.amp gradflow.jit
    gradflow.utils.data gradflow.utils.checkpoint gradflow.utils.hooks gradflow.utils.dlpack
    gradflow.cuda gradflow.accelerator gradflow.graph gradflow.memory gradflow.profiler gradflow.testing gradflow.errors gradflow.mxnet
    gradflow.mxnet.np gradflow.mxnet.npx gradflow.mxnet.nd gradflow.mxnet.autograd gradflow.mxnet.sym
""".split()


def public(place):
    """(name, object) of what a module, or Tensor, offers; constants left out."""
    holder = gf.Tensor if place == "gradflow.Tensor" else importlib.import_module(place)
    listed = getattr(holder, "__all__", None)
    for name in listed or [n for n in dir(holder) if not n.startswith("_")]:
        value = inspect.getattr_static(holder, name) if isinstance(holder, type) else getattr(holder, name)
        value = getattr(value, "__func__", value)
        ours = listed or place in ("gradflow", "gradflow.Tensor") or getattr(value, "__module__", None) == place
        borrowed = not (getattr(value, "__module__", None) or "gradflow").startswith("gradflow")  # typing's, functools's
        if ours and not borrowed and (isinstance(value, property) or callable(value)) and not isinstance(value, types.ModuleType):
            yield name, value


@pytest.mark.parametrize("place", PLACES)
def test_each_name_has_a_sentence_and_an_example(place):
    found = dict(public(place))
    assert found
    for name, value in found.items():
        text = value.__doc__ or ""  # of its own: a class inherits none here
        assert text.strip(), f"{name} has no docstring"
        assert ">>>" in text or (isinstance(value, type) and issubclass(value, Exception)), f"{name} has no example"


@pytest.mark.parametrize("place", PLACES)
def test_examples_run(place):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report = []
    seen = set()
    for name, value in public(place):
        text = inspect.getdoc(value) or ""
        if ">>>" in text and text not in seen:
            seen.add(text)
            runner.run(doctest.DocTestParser().get_doctest(text, {"gf": gf, "np": np}, f"{place}.{name}", None, 0), out=report.append)
    assert not report, "".join(report)
