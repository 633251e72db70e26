"""Handwritten digits: an MLP learns the 1797 real images that ship with scikit-learn.

    python examples/digits.py [--epochs N] [--batch-size N] [--out FILE] [--no-torch]

The code is what one would write for PyTorch; `train` takes the module to run on, so that where torch is installed the
same function trains there too, from the same weights and on the same batches. It trains on a GPU where there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import gradflow

LEARNING_RATE = 5e-3


class Digits(NamedTuple):
    """Images as rows of 64 numbers in [0, 1] and their labels, in two parts that share no image."""

    train_x: np.ndarray
    test_x: np.ndarray
    train_y: np.ndarray
    test_y: np.ndarray


class Result(NamedTuple):
    losses: list[float]  # the mean of each epoch
    accuracy: float  # on the held-out images
    predictions: np.ndarray
    step_seconds: float
    initial: dict[str, np.ndarray]


class Shuffle:
    """A sampler that draws the same orders for every library."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rng = np.random.default_rng(0)

    def __iter__(self):
        return iter(self.rng.permutation(self.size).tolist())

    def __len__(self) -> int:
        return self.size


def load() -> Digits:
    images, labels = load_digits(return_X_y=True)
    x, y = (images / 16).astype(np.float32), labels.astype(np.int64)
    return Digits(*train_test_split(x, y, test_size=0.2, stratify=y, random_state=0))


def with_shifts(images: np.ndarray) -> np.ndarray:
    """The images, and each moved by one pixel to the four sides: five times as many to learn from."""
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    return np.concatenate([padded[:, i : i + 8, j : j + 8] for i, j in corners]).reshape(-1, 64)


def train(torch: Any, data: Digits, epochs: int, batch_size: int, initial: dict | None = None) -> Result:
    nn, F = torch.nn, torch.nn.functional
    torch.set_num_threads(1)  # the batches are small: more threads would wait for each other
    from_numpy = torch.from_numpy
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{torch.__name__} trains on {torch.cuda.get_device_name() if device == 'cuda' else 'the CPU: it finds no GPU'}")

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    if initial is not None:
        model.load_state_dict({name: from_numpy(array) for name, array in initial.items()})
    initial = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    model.to(device)

    images = with_shifts(data.train_x)
    labels = np.tile(data.train_y, len(images) // len(data.train_y))
    dataset = torch.utils.data.TensorDataset(from_numpy(images), from_numpy(labels))
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, sampler=Shuffle(len(dataset)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.1)

    losses = []
    seconds = 0.0
    with tqdm(total=epochs * len(loader), desc=torch.__name__.ljust(8), unit="step") as bar:
        for epoch in range(epochs):
            start = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 - epoch / epochs)
            total = 0.0
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x.to(device)), y.to(device))
                loss.backward()
                optimizer.step()
                total += loss.item() * len(x)
            seconds += time.perf_counter() - start
            losses.append(total / len(dataset))
            bar.update(len(loader))
            bar.set_postfix(loss=f"{losses[-1]:.4f}")

    model.eval()
    with torch.no_grad():
        predictions = model(from_numpy(data.test_x).to(device)).argmax(1).cpu().numpy()
    accuracy = float((predictions == data.test_y).mean())
    return Result(losses, accuracy, predictions, seconds / (epochs * len(loader)), initial)


def draw(path: Path, data: Digits, results: dict[str, Result]) -> None:
    """The loss curves, and held-out digits with what gradflow takes them for: the mistakes come first, in red."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows, columns = 4, 8
    figure = plt.figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.3])
    axes = left.subplots()
    for (name, result), style in zip(results.items(), ("-", "--")):
        epochs = range(1, len(result.losses) + 1)
        axes.plot(epochs, result.losses, style, label=f"{name}: {result.accuracy:.2%} held out")
    axes.set(title="cross entropy on the training images", xlabel="epoch", yscale="log")
    axes.legend()

    predictions = results["gradflow"].predictions
    order = np.argsort(predictions == data.test_y, kind="stable")
    right.suptitle("held-out digits and predictions")
    for i, cell in zip(order, right.subplots(rows, columns).flat):
        cell.imshow(data.test_x[i].reshape(8, 8), cmap="gray_r")
        right_answer = predictions[i] == data.test_y[i]
        cell.set_title(str(predictions[i]), color="black" if right_answer else "red", fontsize=10)
        cell.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(argv: list[str] | None = None) -> dict[str, Result]:
    parser = argparse.ArgumentParser(description="Train an MLP on scikit-learn's handwritten digits.")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("out/digits.png"), help="where the picture goes")
    parser.add_argument("--no-torch", action="store_true", help="do not train under torch beside it")
    args = parser.parse_args(argv)

    data = load()
    print(f"{len(data.train_x)} training images, each also shifted to four sides; {len(data.test_x)} held out")
    results = {"gradflow": train(gradflow, data, args.epochs, args.batch_size)}
    if not args.no_torch:
        try:
            import torch
        except ImportError:
            print("torch is not installed: nothing to train beside gradflow")
        else:
            results["torch"] = train(torch, data, args.epochs, args.batch_size, results["gradflow"].initial)

    for name, result in results.items():
        print(
            f"{name:9} loss {result.losses[-1]:.4f}   held-out accuracy {result.accuracy:.2%}   {result.step_seconds * 1e6:.0f} us per step"
        )
    draw(args.out, data, results)
    print(f"picture: {args.out}")
    return results


if __name__ == "__main__":
    if main()["gradflow"].accuracy < 0.97:
        sys.exit("the held-out accuracy is below 97%")
