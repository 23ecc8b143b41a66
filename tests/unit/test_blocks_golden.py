"""The screens that people see most, as they were last looked at. `GOLDEN=write pytest …` takes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from blocks.card import job_card
from blocks.review import review
from blocks.train_form import train_form
from tests.unit import block_views as views

_GOLDEN = Path(__file__).parent / "golden"


def _card(view: Any) -> dict[str, Any]:
    text, blocks = job_card(view)
    return {"text": text, "blocks": blocks}


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("card-training", _card(views.card())),
        ("card-completed", _card(views.completed_card())),
        ("card-failed", _card(views.failed_card())),
        ("card-failed-dataset", _card(views.dataset_card())),
        ("card-failed-unknown", _card(views.unknown_card())),
        ("train-form", train_form(views.form_view(), metadata='{"key": "k"}')),
        ("train-form-empty", train_form(views.empty_form_view(), metadata='{"key": "k"}')),
        ("review", review(views.review_view(), metadata='{"key": "k"}')),
    ],
)
def test_screen_looks_as_it_did(name: str, drawn: dict[str, Any]) -> None:
    path = _GOLDEN / f"{name}.json"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(json.dumps(drawn, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert drawn == json.loads(path.read_text("utf-8"))
