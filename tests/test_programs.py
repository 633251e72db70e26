"""Programs as people write them for PyTorch, run with gradflow in its place: the same numbers come out."""

import itertools
import math

import numpy as np
import pytest

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(6, 4)).astype(np.float32)
WEIGHTS = RNG.normal(size=(200,)).astype(np.float32) * 0.3


def net(torch, *sizes):
    """A perceptron with given weights."""
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1])
    torch.nn.utils.vector_to_parameters(torch.tensor(WEIGHTS)[: sum(p.numel() for p in model.parameters())], model.parameters())
    return model


def policy_gradient(torch):
    policy, found = net(torch, 4, 5, 3), []
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    actions, returns = torch.tensor([0, 2, 1, 1, 0, 2]), torch.tensor(STATES[:, 0])
    for _ in range(3):
        choice = torch.distributions.Categorical(logits=policy(torch.from_numpy(STATES)))
        advantage = (returns - returns.mean()) / (returns.std() + 1e-8)
        loss = -(choice.log_prob(actions) * advantage).mean() - 0.01 * choice.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
        optimizer.step()
        found += [loss.item(), norm.item()]
    return found


def squashed_actor(torch):
    d = torch.distributions
    mean, log_std = net(torch, 4, 5, 4)(torch.tensor(STATES)).chunk(2, dim=-1)
    actor = d.TransformedDistribution(d.Independent(d.Normal(mean, log_std.clamp(-2, 1).exp()), 1), [d.TanhTransform()])
    score = actor.log_prob(torch.tensor(STATES[:, :2]).tanh() * 0.9)
    score.sum().backward()
    old = d.Normal(mean.detach(), 1.0)
    return [score, d.kl_divergence(old, d.Normal(mean, log_std.exp())).mean()]


def fitted_with_closure(torch):
    model, losses = net(torch, 4, 6, 1).double(), []
    x, y = torch.tensor(STATES).double(), torch.sin(torch.tensor(STATES).double()).sum(axis=1, keepdims=True)
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe", max_iter=6)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    return losses


def sharpness_aware(torch):
    class SAM(torch.optim.Optimizer):
        def __init__(self, params, base, **options):
            super().__init__(params, dict(rho=0.05, **options))
            self.base = base(self.param_groups, **options)
            self.param_groups = self.base.param_groups

        @torch.no_grad()
        def climb(self):
            norm = torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"]]).norm()
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["old"] = p.data.clone()
                    p.add_(p.grad * (group["rho"] / (norm + 1e-12)))

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data = self.state[p]["old"]
            self.base.step()

    model = torch.compile(torch.nn.DataParallel(net(torch, 4, 5, 3)), disable=True)
    optimizer = SAM(model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CyclicLR(optimizer.base, 0.05, 0.2, step_size_up=2)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    x, y, found = torch.tensor(STATES), torch.tensor([0, 1, 2, 0, 1, 2]), []
    for _ in range(4):
        for move in (optimizer.climb, optimizer.step):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y, label_smoothing=0.1)
            loss.backward()
            move()
        schedule.step()
        average.update_parameters(model)
        found += [loss.item(), schedule.get_last_lr()[0]]
    return [*found, average(x)]


def transformed_images(torch):
    F = torch.nn.functional
    images = torch.arange(32.0).reshape(2, 1, 4, 4)
    turn = torch.tensor([[[0.8, -0.6, 0.1], [0.6, 0.8, -0.2]]]).repeat(2, 1, 1).requires_grad_()
    seen = F.grid_sample(images, F.affine_grid(turn, images.size(), align_corners=False), align_corners=False)
    seen.square().mean().backward()
    return [seen, turn.grad]


def normalised_critic(torch):
    critic = torch.nn.utils.parametrizations.weight_norm(net(torch, 4, 3, 1)[0])
    heard = []
    critic.register_full_backward_hook(lambda module, into, out: heard.append(out[0].abs().sum().item()))
    x = torch.tensor(STATES, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).tanh().sum(), x, create_graph=True)
    ((slope.norm(2, dim=1) - 1) ** 2).mean().backward()
    return [*heard, *(p.grad for p in critic.parameters())]


def resumed(torch, path):
    model, x = net(torch, 4, 5, 2), torch.tensor(STATES)
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 2,
        "best": loss.detach(),
        "args": {"lr": 0.1},
    }
    torch.save(checkpoint, path)
    loaded = torch.load(path, map_location="cpu")
    again = net(torch, 4, 5, 2)
    again.load_state_dict(loaded["model"])
    other = torch.optim.NAdam(again.parameters(), lr=0.1)
    other.load_state_dict(loaded["optimizer"])
    again(x).square().mean().backward()
    other.step()
    return [loaded["epoch"], loaded["best"], loaded["args"]["lr"], *again.parameters()]


def words_of_numpy(torch):
    x = torch.tensor(STATES)
    index = torch.tensor([[0, 1], [2, 3]])
    return [
        torch.cat((x, x), axis=1),
        torch.stack([x, x], axis=-1),
        torch.unsqueeze(x, axis=0),
        torch.gather(x, axis=1, index=index),
        torch.topk(x, 2, axis=1).values,
        x.topk(1, axis=0).values,
        torch.diff(x, axis=0),
        torch.add(x1=x, x2=x),
        x.mean(axis=0, keepdims=True),
    ]


def texts(torch):
    loss = torch.tensor(1.5, requires_grad=True)
    modules = torch.nn.modules
    kinds = [
        isinstance(torch.nn.Conv1d(1, 1, 1), torch.nn.Conv2d),
        isinstance(torch.nn.BatchNorm1d(1), modules.batchnorm._BatchNorm),
        isinstance(torch.nn.MSELoss(), modules.loss._Loss),
        isinstance(torch.nn.Dropout2d(), torch.nn.Dropout),
    ]
    return [f"loss {loss} {loss:.3f} {loss.detach() * 2}", f"{torch.tensor([1.5])}", kinds, torch.backends.mps.is_available()]


PROGRAMS = [
    policy_gradient,
    squashed_actor,
    fitted_with_closure,
    sharpness_aware,
    transformed_images,
    normalised_critic,
    words_of_numpy,
    texts,
]


def plain(value):
    return value.detach().numpy() if hasattr(value, "detach") else value


def compare(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(map(plain, ours), map(plain, theirs), strict=True):
        if isinstance(b, float | int | np.ndarray):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)
        else:
            assert a == b
    assert not any(isinstance(v, float) and math.isnan(v) for v in map(plain, ours))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(torch, program):
    import gradflow

    compare(program(gradflow), program(torch))


def test_program_with_a_checkpoint(torch, tmp_path):
    import gradflow

    compare(resumed(gradflow, tmp_path / "ours.pt"), resumed(torch, tmp_path / "theirs.pt"))
