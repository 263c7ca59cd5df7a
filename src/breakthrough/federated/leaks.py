"""Every protection against both attacks: what a server still sees of the pictures, what the final model still tells.

Two questions that are often taken for one:
- the *update*: can the server rebuild a client's pictures from what arrives? Masks, encryption and noise that
  a client adds itself answer this one; noise that the server adds comes after the server has seen everything;
- the *model*: can anyone who holds the final model tell who was in it? Masks and encryption compute the same
  model, so they cannot change the answer; differential privacy does, and takes accuracy for it.

Inversion is shown at its strongest: an untrained net, one picture a client, one local step.

Shape legend: V victims, B pictures in what is seen, D parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from breakthrough.errors import InputError, expected
from breakthrough.federated import membership
from breakthrough.federated.digits import CLASSES, DigitsNet, Samples, digits
from breakthrough.federated.inversion import Recipe, invert, read_labels
from breakthrough.federated.likeness import correlation, matched, ssim
from breakthrough.federated.membership import Membership
from breakthrough.federated.privacy import Budget, clip, noise
from breakthrough.federated.victims import Passes, federate, local_updates, mislabel
from breakthrough.seeds import numpy_generator, torch_generator

RING = 2**32  # masked codes are whole numbers below this
CKKS_ERROR = 1e-7  # relative: about what decryption leaves at a scale of 2^40


@dataclass(frozen=True)
class LeakPlan:
    """How much is attacked.

    Units:  victims are attacked one by one, and in groups summed by `summed`; clients × samples train the
            federation whose model is asked for members; clip is an L2 norm, noise its multiplier, delta is δ
    Raises: InputError when the digits are too few, or fewer victims than one group
    """

    victims: int = 10
    summed: int = 10
    recipe: Recipe = Recipe(150, 0.1, 0.001)
    clients: int = 50
    samples: int = 6
    rounds: int = 40
    references: int = 3
    wrong: float = 0.1
    clip: float = 0.2
    noise: float = 3.0
    delta: float = 0.01

    def __post_init__(self) -> None:
        if self.victims < self.summed or self.summed < 2:
            raise InputError(expected(f"at least {max(2, self.summed)} victims: one group and more than one", self.victims))
        if 3 * self.clients * self.samples + 2 * self.victims > 1797:
            raise InputError(expected("3 × clients × samples + 2 × victims within 1,797 digits", self, "fewer clients"))


PLANS = {
    "tiny": LeakPlan(3, 3, Recipe(40, 0.1, 0.001), clients=10, samples=4, rounds=6, references=2, wrong=0.3, delta=0.05),
    "quick": LeakPlan(),
    "full": LeakPlan(30, 10, Recipe(300, 0.1, 0.001), rounds=60, references=8),
}


@dataclass(frozen=True)
class Rebuilt:
    """What inversion made of what was seen; None stands for the best guess without seeing anything.

    Shapes: pictures (V, channels, H, W), beside the originals in their order; likeness (V,), ssim (V,)
    Units:  likeness is the correlation with the original, stranger that with another person's picture:
            where the two are the same, nothing of this picture was found
    """

    pictures: Tensor
    likeness: np.ndarray
    ssim: np.ndarray
    stranger: float


@dataclass(frozen=True)
class Told:
    """What a final model tells of its members.

    Shapes: members and others (M,): calibrated scores, higher for samples taken for members
    Units:  odd is the AUC among wrongly labelled samples, by the loss alone; accuracy is on other samples
            with right labels; epsilon at `delta`, None without noise
    """

    found: Membership
    control: Membership
    odd: float
    members: np.ndarray
    others: np.ndarray
    accuracy: float
    epsilon: float | None
    delta: float


@dataclass(frozen=True)
class Leak:
    """One protection: what the server sees, what it rebuilds from it, what the final model tells."""

    protection: str
    seen: str
    rebuilt: Rebuilt
    told: Told


@dataclass(frozen=True)
class Scene:
    """A net, the pictures of victims, what they send, and what the attacker knows besides.

    Shapes: x (V, 1, 8, 8), y (V,), strangers as x, updates (V, D), typical (1, 8, 8)
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    strangers: Tensor
    updates: Tensor
    typical: Tensor


def scene(plan: LeakPlan, data: Samples, seed: int) -> Scene:
    """Victims with one picture each and the update each sends after one step from an untrained net."""
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    model = DigitsNet(torch_generator(seed, "leaks", "net"))
    v = plan.victims
    updates = local_updates(model, x[:v, None], y[:v, None], 1, 0.1)
    return Scene(model, x[:v], y[:v], x[v : 2 * v], updates, x[2 * v :].mean(0))


def attack(scene: Scene, seen: Tensor | None, pictures: int, recipe: Recipe, seed: int) -> Rebuilt:
    """Invert vectors as a server would see them, and compare what comes out with the victims' pictures.

    The attacker tries both signs' natural one: an update points against its gradient.

    Shapes: seen (V / pictures, D), each from `pictures` victims in order; None where nothing can be read
    """
    if seen is None:
        return _compared(scene, scene.typical.expand_as(scene.x), 1)
    labels = read_labels(scene.model, -seen, pictures, scene.typical, "head.bias")
    found = invert(scene.model, -seen, labels, tuple(scene.x.shape[1:]), recipe, torch_generator(seed, "leaks", "start"))
    return _compared(scene, found.pictures.flatten(0, 1), pictures)


def _compared(scene: Scene, found: Tensor, pictures: int) -> Rebuilt:
    count = len(found)
    groups = [slice(i, i + pictures) for i in range(0, count, pictures)]
    beside = torch.cat([matched(found[g], scene.x[g]) for g in groups])
    control = torch.cat([correlation(matched(found[g], scene.strangers[g]), scene.strangers[g]) for g in groups])
    return Rebuilt(beside, correlation(beside, scene.x[:count]).numpy(), ssim(beside, scene.x[:count]).numpy(), float(control.mean()))


def views(scene: Scene, plan: LeakPlan, generator: np.random.Generator) -> dict[str, Callable[[], tuple[Tensor | None, int]]]:
    """What a server sees of the victims' updates under each protection, and how many pictures each vector holds."""
    updates, groups = scene.updates, plan.victims // plan.summed
    clipped = torch.stack([torch.from_numpy(clip(u.numpy(), plan.clip)[0]) for u in updates])

    def noised(x: Tensor) -> Tensor:
        return x + torch.from_numpy(noise(x.shape, plan.clip, plan.noise, 1, generator)).float()

    def sums(x: Tensor) -> Tensor:
        return x[: groups * plan.summed].unflatten(0, (groups, plan.summed)).sum(1)

    def masked() -> Tensor:
        return torch.from_numpy(generator.integers(0, RING, updates.shape) - RING / 2).float()

    def decrypted() -> Tensor:
        size = CKKS_ERROR * updates.abs().max()
        return updates + size * torch.from_numpy(generator.standard_normal(updates.shape)).float()

    return {
        "one masked vector": lambda: (masked(), 1),
        "the sum": lambda: (sums(updates), plan.summed),
        "the ciphertext": lambda: (None, 1),
        "the decrypted update": lambda: (decrypted(), 1),
        "the update": lambda: (updates, 1),
        "the clipped update": lambda: (clipped, 1),
        "the noised update": lambda: (noised(clipped), 1),
        "the noised sum": lambda: (noised(sums(clipped)), plan.summed),
    }


# protection → what the server sees, which model comes out
ROWS = (
    ("none", "the update", "plain"),
    ("masks, one client", "one masked vector", "plain"),
    ("masks, their sum", "the sum", "plain"),
    ("CKKS, key apart", "the ciphertext", "plain"),
    ("CKKS, server has the key", "the decrypted update", "plain"),
    ("noise by the server", "the clipped update", "private"),
    ("noise by each client", "the noised update", "local"),
    ("masks, noise in shares", "the noised sum", "private"),
)


def leak_table(plan: LeakPlan | str = "quick", seed: int = 0) -> tuple[Scene, Rebuilt, list[Leak]]:
    """Both attacks under every protection: the victims, the guess that has seen nothing, and a row each.

    Raises: KeyError for a name that is not in PLANS
    """
    plan = PLANS[plan] if isinstance(plan, str) else plan
    data = _shuffled(seed)
    federation = data.take(np.arange(3 * plan.clients * plan.samples))
    attacked = scene(plan, data.take(np.arange(len(federation), len(data))), seed)
    seen = views(attacked, plan, numpy_generator(seed, "leaks", "views"))
    rebuilt = {name: attack(attacked, *view(), plan.recipe, seed) for name, view in seen.items()}
    told = {name: tell(plan, federation, name, seed) for name in ("plain", "private", "local")}
    rows = [Leak(protection, name, rebuilt[name], told[model]) for protection, name, model in ROWS]
    return attacked, attack(attacked, None, 1, plan.recipe, seed), rows


def tell(plan: LeakPlan, data: Samples, kind: str, seed: int) -> Told:
    """Train a federation and ask its model for its members; reference models are trained the same way.

    The first third of the samples are members, the second are others, the last is the attacker's own.
    `private` adds noise once to the sum; `local` lets every client add as much, so the sum has √clients of it.
    """
    count = plan.clients * plan.samples
    scale = {"plain": 0.0, "private": plan.noise, "local": plan.noise * plan.clients**0.5}[kind]
    passes = Passes(plan.rounds, clip=plan.clip if scale else None, noise=scale)
    given, wrong = mislabel(data.y, plan.wrong, len(CLASSES), numpy_generator(seed, "leaks", "labels"))
    x, y = torch.from_numpy(data.x), torch.from_numpy(given)
    asked, own = slice(0, 2 * count), np.arange(2 * count, len(data))

    def trained(chosen: np.ndarray, name: str | int) -> nn.Module:
        generator = numpy_generator(seed, "leaks", kind, "noise", name)
        model = DigitsNet(torch_generator(seed, "leaks", "trained", name))
        shape = (plan.clients, plan.samples)
        return federate(model, x[chosen].unflatten(0, shape), y[chosen].unflatten(0, shape), passes, generator)

    draw = numpy_generator(seed, "leaks", "references")
    model = trained(np.arange(count), "target")
    loss = membership.losses(model, x[asked], y[asked])
    # with replacement: the attacker has no more samples of its own than one federation needs
    references = [membership.losses(trained(draw.choice(own, count), i), x[asked], y[asked]) for i in range(plan.references)]
    scores = membership.calibrated(loss, np.array(references))
    odd = membership.auc(*(-loss[part][wrong[part]] for part in (slice(0, count), slice(count, 2 * count))))
    with torch.no_grad():
        right = model(x[count : 2 * count]).argmax(1).numpy() == data.y[count : 2 * count]
    judged = numpy_generator(seed, "leaks", "bootstrap")
    epsilon = Budget(plan.clients, plan.clients, plan.noise, plan.rounds, plan.delta).epsilon() if scale else None
    members, others = scores[:count], scores[count:]
    return Told(membership.judge(members, others, judged), membership.control(members, judged), odd, members, others, float(right.mean()), epsilon, plan.delta)


def as_rows(guess: Rebuilt, leaks: list[Leak]) -> list[dict[str, str | float | None]]:
    """The table as plain data: a first row for the guess, then one for each protection."""
    rows: list[dict[str, str | float | None]] = [{"protection": "(a guess)", "seen": "nothing", **_likeness(guess)}]
    for leak in leaks:
        told = leak.told
        rows.append({"protection": leak.protection, "seen": leak.seen, **_likeness(leak.rebuilt), "auc": told.found.auc, "auc_low": told.found.low,
                     "auc_high": told.found.high, "auc_odd": told.odd, "accuracy": told.accuracy, "epsilon": told.epsilon})
    return rows


def _likeness(rebuilt: Rebuilt) -> dict[str, float]:
    x = rebuilt.likeness
    return {"likeness": float(x.mean()), "spread": float(x.std(ddof=1)), "stranger": rebuilt.stranger, "ssim": float(rebuilt.ssim.mean())}


def _shuffled(seed: int) -> Samples:
    train, test = digits(seed)
    return Samples(np.concatenate((train.x, test.x)), np.concatenate((train.y, test.y)))
