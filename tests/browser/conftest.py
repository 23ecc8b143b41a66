"""One browser for the folder, the bot behind the page, and a tab for each person; managers and admins hold a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stripe
from playwright.sync_api import Browser, Page

from bot.context import BotContext
from functions.model.training_file import TrainingFile
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.stripe_payments import StripePayments
from tests.browser.chromium import chromium, tab
from tests.scenario.house import SetClock, add_demo_file
from tests.scenario.stage import CHANNEL, ClockAhead, Stage, staged
from tests.serving import served
from tests.stripe.fake import KEY, WEBHOOK_SECRET, FakeStripe

SERVICE = "https://brightrun.test"
Arrangement = Callable[[BotContext], BotContext]
PHONE_WIDTH, HEIGHT = 390, 844


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Started once: every tab has its own cookies and memory."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def clock() -> ClockAhead:
    """The bot's time of day, which a test may let pass."""
    return ClockAhead()


@pytest.fixture
def arranged() -> Arrangement:
    """What is special about this installation; a test or a module gives its own."""
    return lambda context: context


@pytest.fixture
def fake() -> FakeStripe:
    """An empty account in test mode."""
    return FakeStripe()


@pytest.fixture
def stripe_connected(fake: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arrangement]:
    """With Stripe, whose SDK does not wait long before it tries again."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.01)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.02)
    with served(fake.app()) as url:
        payments = StripePayments(KEY, webhook_secret=WEBHOOK_SECRET, service_url=SERVICE, api_url=url)
        yield lambda context: replace(context, payments=payments)


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, clock: ClockAhead, arranged: Arrangement) -> Iterator[Stage]:
    """Everything up; no training file yet."""
    with staged(db, tmp_path, change=lambda context: arranged(replace(context, clock=clock))) as ready:
        yield ready


@pytest.fixture
def training_file(stage: Stage, demo_file: Path) -> TrainingFile:
    """The team's only training file."""
    return add_demo_file(stage.db, stage.files, demo_file, SetClock(utc_now()))


@pytest.fixture
def elena(stage: Stage, browser: Browser) -> Iterator[Page]:
    """An engineer at her desk."""
    with tab(browser, _address(stage, "U0ELENA"), height=HEIGHT) as page:
        yield page


@pytest.fixture
def marcus(stage: Stage, browser: Browser) -> Iterator[Page]:
    """A manager on a phone."""
    with tab(browser, _address(stage, "U0MARCUS"), width=PHONE_WIDTH, height=HEIGHT) as page:
        yield page


@pytest.fixture
def ada(stage: Stage, browser: Browser) -> Iterator[Page]:
    """An admin on a phone, if the test makes her one."""
    with tab(browser, _address(stage, "U0ADA"), width=PHONE_WIDTH, height=HEIGHT) as page:
        yield page


@pytest.fixture
def vic(stage: Stage, browser: Browser) -> Iterator[Page]:
    """A viewer on a phone."""
    with tab(browser, _address(stage, "U0VIEWER"), width=PHONE_WIDTH, height=HEIGHT) as page:
        yield page


def _address(stage: Stage, user_id: str) -> str:
    return f"{stage.workspace.base_url}/?user={user_id}&channel={CHANNEL}"
