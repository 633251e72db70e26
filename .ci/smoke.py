"""What a fresh install must do: import, compute, differentiate, train a step, and carry its data files."""

import importlib.resources
import pathlib
import sys

import gradflow as gf

package = importlib.resources.files("gradflow")
assert package.joinpath("py.typed").is_file()
assert package.joinpath("include/gradflow/scalar.h").is_file()
assert pathlib.Path(sys.prefix) in pathlib.Path(gf.__file__).parents, gf.__file__

x = gf.arange(4.0, requires_grad=True)
(2 * gf.dot(x, x)).backward()
assert x.grad.tolist() == [0.0, 4.0, 8.0, 12.0]

a = gf.ones(64, 32)
b = gf.ones(32, 16)
assert (a @ b).sum().item() == 64 * 32 * 16

gf.manual_seed(0)
model = gf.nn.Sequential(gf.nn.Linear(8, 16), gf.nn.Tanh(), gf.nn.Linear(16, 3))
optimizer = gf.optim.AdamW(model.parameters(), lr=1e-2)
inputs, targets = gf.randn(32, 8), gf.arange(32) % 3
losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = gf.nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0], losses

print(f"gradflow {gf.__version__} from {gf.__file__}: ok")
