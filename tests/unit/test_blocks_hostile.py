"""Whatever people type and whatever a run says, Slack takes every screen and nobody's text speaks Slack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from blocks import datasets, jobs
from blocks.card import job_card
from blocks.download import download_message
from blocks.errors import error_blocks, failure_home, failure_view, unexpected_blocks
from blocks.home import home_view
from blocks.milestones import milestone
from blocks.review import review, started
from blocks.text import loading_view
from blocks.train_form import file_options, train_form
from functions.errors import TrainingFileInvalid
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.model.views import FileOption
from infra.workspace.limits import message_problems, options_problems, view_problems
from tests.unit import block_views as views

_NASTY = (
    "",
    " ",
    "<!channel> & <@U0ADMIN> <https://evil.example|click>",
    "👨‍👩‍👧‍👦" * 100,
    "e\u0301" * 300,
    "*bold* _it_ ~no~ `code` ```fence```",
    "a\nb\r\n> quote\u202etxet",
    "&" * 3000,
    "x" * 2000,
    "–",
)
_FLOATS = (0.0, -1.0, 0.5, 1e300, float("nan"), float("inf"), float("-inf"))
_INTS = (0, 1, 2, 10**15)
_texts = st.one_of(st.sampled_from(_NASTY), st.text(max_size=150))
_TOKENS = re.compile(r"<!date\^-?\d+\^[^<>|^]*\|[^<>|^]*>|<@[UW][A-Z0-9]+>|<#[CG][A-Z0-9]+>")
# What is ours and never comes from a person: it is checked by its type, and ids must stay what they are.
_KEPT = {
    "state",
    "status",
    "stage",
    "tier",
    "base_model",
    "key",
    "role",
    "user_id",
    "hub_id",
    "quantization",
    "held_out_fraction",
}


class Spoiler:
    """Puts hostile values in the place of a view's own; hypothesis decides which."""

    def __init__(self, texts: Sequence[str], random: Random) -> None:
        self._texts = texts
        self._random = random

    def __call__(self, value: Any) -> Any:
        return self._value(value, "")

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, BaseModel):
            changed = {key: self._value(getattr(value, key), key) for key in type(value).model_fields}
            return value.model_copy(update=changed)
        if name in _KEPT or isinstance(value, bool | datetime | UUID | Enum) or value is None:
            return value
        if isinstance(value, str):
            return self._random.choice((value, *self._texts))
        if isinstance(value, int):
            return self._random.choice((value, *_INTS))
        if isinstance(value, float):
            return self._random.choice((value, *_FLOATS))
        return self._many(value, name)

    def _many(self, value: Any, name: str) -> Any:
        if isinstance(value, Mapping):
            return {f"{self._random.choice(self._texts)}{n}": 1 + n % 7 for n in range(200)}
        items = [self._value(item, name) for item in value]
        if items and isinstance(items[0], str):
            return tuple(items * self._random.choice((1, 1, 40)))
        return tuple(items)


def _marked_up(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for child in node.values():
            yield from _marked_up(child)
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _marked_up(child)


def _harmless(text: str) -> bool:
    rest = _TOKENS.sub("", text)
    for entity in ("&amp;", "&lt;", "&gt;"):
        rest = rest.replace(entity, "")
    return not set("<>&") & set(rest)


def _check_message(parts: tuple[str, list[dict[str, Any]]]) -> None:
    text, blocks = parts
    assert message_problems({"text": text, "blocks": blocks, "ts": "1.1"}) == []
    assert text
    assert all(_harmless(shown) for shown in (text, *_marked_up(blocks)))


def _check_view(view: dict[str, Any]) -> None:
    assert view_problems(view) == []
    assert all(_harmless(shown) for shown in _marked_up(view))


_hostile = given(st.lists(_texts, min_size=1, max_size=6), st.integers(0, 2**32).map(Random))
_quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_quick
@_hostile
def test_cards_and_milestones(texts: list[str], random: Random) -> None:
    spoil = Spoiler(texts, random)
    for view in (spoil(views.card()), spoil(views.completed_card()), spoil(views.failed_card())):
        for state in (view.job.state, JobState.INTERRUPTED, JobState.QUEUED, JobState.CANCELLED):
            _check_message(job_card(view.model_copy(update={"job": view.job.model_copy(update={"state": state})})))
        data = {"step": random.choice(_INTS), "loss": random.choice(_FLOATS), "cause": texts[0]}
        for notice in Notice:
            _check_message(milestone(notice, view, data, "F0PICTURE"))


@_quick
@_hostile
def test_form_and_review(texts: list[str], random: Random) -> None:
    spoil = Spoiler(texts, random)
    _check_view(train_form(spoil(views.form_view()), metadata="{}"))
    _check_view(train_form(spoil(views.empty_form_view()), metadata="{}"))
    _check_view(review(spoil(views.review_view()), metadata="{}"))
    _check_view(started(spoil(views.job())))
    option = FileOption(file=spoil(views.training_file()), reasons=tuple(texts))
    answer = file_options([option, FileOption(file=spoil(views.training_file()), reasons=())] * 60)
    assert options_problems(answer) == []


@_quick
@_hostile
def test_lists_details_home_and_files(texts: list[str], random: Random) -> None:
    spoil = Spoiler(texts, random)
    _check_view(jobs.job_list(spoil(views.list_view(12))))
    _check_view(jobs.job_details(spoil(views.details_view(card=views.failed_card()))))
    _check_view(jobs.job_details(spoil(views.details_view(file=None, log=tuple(texts) * 60))))
    _check_view(home_view(spoil(views.home_view_data())))
    _check_view(datasets.file_list(spoil(views.file_list_view(*texts))))
    _check_view(datasets.import_report(spoil(views.import_view(reasons=tuple(texts))), metadata="{}"))
    _check_view(datasets.added(spoil(views.training_file())))


@_quick
@_hostile
def test_errors_and_links(texts: list[str], random: Random) -> None:
    spoil = Spoiler(texts, random)
    error = TrainingFileInvalid(texts[0] or "Wrong.", problems=texts * 20, where=texts[-1], fix=texts[-1])
    _check_message(("Wrong.", error_blocks(error)))
    _check_message(("Wrong.", unexpected_blocks(texts[0] or "7F3K")))
    _check_view(failure_view(texts[0], texts[0], error_blocks(error)))
    _check_view(failure_home(texts[0], []))
    _check_view(loading_view(texts[0], texts[-1]))
    for url in ("https://files.example.com/a?sig=1", "https://files.example.com/" + "a" * 4000):
        _check_message(
            download_message(spoil(views.artifact()), url=url, expires_at=views.NOW, downloads=random.choice(_INTS))
        )


@pytest.mark.parametrize("text", _NASTY)
def test_a_name_may_be_anything(text: str) -> None:
    _check_message(job_card(views.card(name=text)))
    _check_view(train_form(views.form_view(choice=views.choice(name=text, notes=text)), metadata="{}"))
