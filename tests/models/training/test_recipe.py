"""The training loop that all pocket recipes share."""

import numpy as np
import pytest
import torch
from torch import nn

from models import training
from models.training.recipe import Recipe, fit, one_cycle


class Line(Recipe):
    """Learns y = 3 x - 1 with a dropout layer, so that a lost random state would show."""

    name, folder, steps, rate, checkpoint_every = "line", "line", 60, 0.1, 7
    about = "A line."
    counts = {}

    def build(self):
        return nn.Sequential(nn.Dropout(0.1), nn.Linear(1, 1))

    def loss(self, model, rng, progress):
        x = torch.from_numpy(rng.standard_normal((16, 1))).float()
        x = x + 0.01 * torch.randn_like(x)
        error = ((model(x).float() - (3 * x - 1)) ** 2).mean()
        return error, {"progress": progress}

    def evaluate(self, model):
        return {"at one": model(torch.ones(1, 1)).item()}

    def save(self, model, folder):
        folder.mkdir(parents=True, exist_ok=True)


def _line(folder):
    return Line(folder / "build", folder / "weights", [])


def _silent(figures, step):
    pass


def test_a_stopped_training_resumes_to_the_same_weights(tmp_path):
    whole, _ = fit(_line(tmp_path), tmp_path / "whole.pt", _silent, True, 60)
    parts = tmp_path / "parts.pt"
    for stop in (10, 33, None):
        pieces, _ = fit(_line(tmp_path), parts, _silent, True, 60, stop)
    for one, other in zip(whole.parameters(), pieces.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_resume_the_training_starts_over(tmp_path):
    steps = []
    fit(_line(tmp_path), tmp_path / "c.pt", lambda figures, step: steps.append(step), True, 20)
    fit(_line(tmp_path), tmp_path / "c.pt", lambda figures, step: steps.append(step), False, 20)
    fit(_line(tmp_path), tmp_path / "c.pt", lambda figures, step: steps.append(step), True, 20)
    assert steps == [20, 20]


def test_train_learns_logs_and_writes_the_card(tmp_path):
    heard = []
    figures = _line(tmp_path).train(lambda parts, step: heard.append((step, parts)), True, 400)
    assert abs(figures["at one"] - 1.7) < 0.1  # dropout of share p shrinks the slope to 3 (1 - p); less 1
    assert heard[-1] == (400, figures)
    losses = [parts["loss"] for _, parts in heard[:-1]]
    assert losses[-1] < losses[0]
    card = (tmp_path / "weights" / "line" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and "400 steps" in card and "| at one |" in card


def test_the_cycle_climbs_and_falls():
    rates = np.array([one_cycle(step, 1000) for step in range(1000)])
    top = rates.argmax()
    assert rates[top] == 1 and (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all()
    assert rates.min() > 0


def test_an_unknown_recipe_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="squeeznet.*squeezenet"):
        training.train("squeeznet")
