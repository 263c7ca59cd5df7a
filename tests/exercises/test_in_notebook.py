"""What `check` does in a notebook: a lab stops at a wrong answer, a lesson goes on."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from breakthrough import events
from breakthrough.errors import CheckFailed
from breakthrough.exercises import answering, card, load


@pytest.fixture
def shown(tmp_path, monkeypatch):
    monkeypatch.setenv(events.VARIABLE, str(tmp_path))
    monkeypatch.setattr(answering, "_in_notebook", lambda: True)
    bundles = []
    monkeypatch.setattr(answering, "_show", lambda bundle, *_: bundles.append(bundle))
    return bundles


def stub(logits):
    raise NotImplementedError()


@pytest.mark.parametrize(("answer", "status"), [(stub, "not attempted"), (torch.sigmoid, "wrong")])
def test_a_lesson_goes_on_and_shows_the_card(shown, answer, status):
    answering.check("start.softmax", answer)
    assert [bundle[card.MIME]["status"] for bundle in shown] == [status]


@pytest.mark.parametrize(("answer", "says"), [(stub, "not attempted"), (torch.sigmoid, "A sigmoid scores every")])
def test_a_lab_stops_after_the_card_with_the_diagnosis(shown, answer, says, monkeypatch):
    in_a_lab = dataclasses.replace(load("start.softmax"), lesson=False)
    monkeypatch.setattr(answering, "load", lambda name: in_a_lab)
    with pytest.raises(CheckFailed, match=f"^start.softmax: {says}"):
        answering.check("start.softmax", answer)
    assert len(shown) == 1
