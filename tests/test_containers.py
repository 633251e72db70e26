"""Sequential, ModuleList, ModuleDict and the containers of parameters."""

from collections import OrderedDict

import pytest

import gradflow as gf
from gradflow import nn


def test_sequential():
    net = nn.Sequential(OrderedDict(a=nn.Linear(1, 2), b=nn.Tanh()))
    assert list(net.state_dict()) == ["a.weight", "a.bias"]
    assert net.a is net[0] is net[-2]
    net = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))
    assert len(net) == 3
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
    net[1] = nn.ReLU()
    del net[0]
    assert [type(module).__name__ for module in net] == ["ReLU", "Linear"]
    assert list(net.state_dict()) == ["1.weight", "1.bias"]
    net.append(nn.Tanh()).extend([nn.ReLU()]).insert(0, nn.Sigmoid())
    assert [name for name, _ in net.named_children()] == ["0", "1", "2", "3", "4"]
    assert isinstance(net.pop(0), nn.Sigmoid)
    assert len(net + nn.Sequential(nn.Tanh())) == 5
    for index in (4, -5):
        with pytest.raises(IndexError, match="it holds 4 modules"):
            net[index]
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.Sequential(3)


def test_module_list():
    modules = nn.ModuleList([nn.Linear(1, 1), nn.Tanh()])
    modules.append(nn.ReLU()).extend(nn.Sigmoid() for _ in range(2))
    modules.insert(1, nn.Softmax(0))
    assert [type(module).__name__ for module in modules] == ["Linear", "Softmax", "Tanh", "ReLU", "Sigmoid", "Sigmoid"]
    assert list(modules.state_dict()) == ["0.weight", "0.bias"]
    assert list(modules[0:1].state_dict()) == ["0.weight", "0.bias"]
    assert [name for name, _ in modules[2:4].named_children()] == ["0", "1"]
    del modules[1:3]
    assert len(modules.__add__([nn.Tanh()])) == 5
    assert isinstance(modules.pop(), nn.Sigmoid)
    modules += [nn.Tanh()]
    assert isinstance(modules[-1], nn.Tanh)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        modules.append(3)
    with pytest.raises(NotImplementedError):
        modules(1)


def test_module_dict():
    modules = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Tanh()})
    modules["c"] = nn.ReLU()
    modules.update([("b", nn.Sigmoid())])
    assert (list(modules), len(modules), "a" in modules) == (["a", "b", "c"], 3, True)
    assert [type(module).__name__ for module in modules.values()] == ["Linear", "Sigmoid", "ReLU"]
    assert list(modules.state_dict()) == ["a.weight", "a.bias"]
    assert isinstance(modules.pop("a"), nn.Linear)
    assert list(modules.keys()) == ["b", "c"]
    modules.clear()
    assert list(modules.items()) == []
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        modules["keys"] = nn.Tanh()


def test_parameter_containers():
    values = nn.ParameterList([gf.ones(2), gf.zeros(3)])
    values.append(nn.Parameter(gf.ones(1)))
    values[0] = gf.zeros(2)
    assert [name for name, _ in values.named_parameters()] == ["0", "1", "2"]
    assert (len(values), values[-1].item(), values[0].tolist()) == (3, 1.0, [0.0, 0.0])
    assert len(values[1:]) == 2
    named = nn.ParameterDict({"a": gf.ones(2)})
    named["b"] = gf.zeros(1)
    assert [name for name, _ in named.named_parameters()] == ["a", "b"]
    del named["a"]
    assert (list(named), "a" in named, len(named)) == (["b"], False, 1)
