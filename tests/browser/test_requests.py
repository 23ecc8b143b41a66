"""Every state of every kind of request, clicked: one asks at a desk, a manager decides on a phone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from blocks.approvals import ACTION_APPROVE
from blocks.lifecycle import ACTION_PROMOTE
from blocks.review import REVIEW_CALLBACK
from bot.context import BotContext
from functions import catalog
from functions.lifecycle import cancel_job
from functions.model.approval import STARTS, ApprovalKind, ApprovalState
from functions.model.people import Role
from tests.browser.asking import WHY, Asking, line_up, request
from tests.browser.hands import PATIENCE_MS, act, close, fits, give_role, modal
from tests.browser.hands import start as tick_and_start
from tests.scenario.house import ELENA, TEAM
from tests.scenario.paper import TRAINED
from tests.scenario.stage import ClockAhead, Stage

K, S = ApprovalKind, ApprovalState
ON_DEMAND = "modal-h100-on-demand"
Step = Callable[[Asking], None]
# What cannot be clicked, and why.
UNREACHABLE = {
    (K.LIMIT_INCREASE, S.DRAFT): "drafted and put in one go",
    (K.LIMIT_INCREASE, S.LAUNCHED): "there is nothing to launch",
    (K.PROMOTION, S.LAUNCHED): "there is nothing to launch",
    (K.PROMOTION, S.SUPERSEDED): "bound to its run alone, which cannot become another one",
}


@pytest.fixture
def asking(stage: Stage, elena: Page, marcus: Page, clock: ClockAhead) -> Asking:
    return Asking(stage, elena, marcus, clock)


@dataclass(frozen=True)
class Way:
    """How a request of some kind comes into a state, and what every copy says then."""

    state: ApprovalState
    go: Step
    said: str


def ways(ask: Step, *more: Way) -> tuple[Way, ...]:
    """Those that are the same for all kinds, and those of one."""

    def then(what: Step) -> Step:
        def go(asking: Asking) -> None:
            ask(asking)
            expect(act(request(asking.decider), ACTION_APPROVE)).to_be_visible()
            expect(request(asking.decider)).to_contain_text("Approval needed")
            assert asking.newest().state is S.PENDING
            what(asking)

        return go

    return (
        Way(S.REJECTED, then(Asking.decline), "✗ Declined"),
        Way(S.CANCELLED, then(Asking.withdraw), "– Withdrawn"),
        Way(S.EXPIRED, then(lambda asking: asking.wait(hours=25)), "– Expired without a decision"),
        *(Way(way.state, then(way.go), way.said) for way in more),
    )


def higher_limit(asking: Asking) -> None:
    with asking.stage.db.transaction() as tx:
        dollars = tx.ledger.limit(TEAM) // 100
    asking.limit(dollars + 100)
    expect(request(asking.decider)).to_contain_text(f"to ${dollars + 100:,}.00")
    expect(request(asking.decider)).to_contain_text(WHY)


def at_other_limit(cents: int) -> Step:
    """Approved after somebody changed the limit."""

    def go(asking: Asking) -> None:
        asking.limit_is(cents)
        asking.approve()

    return go


def at_other_price(asking: Asking) -> None:
    """Approved after the rate card was changed."""
    dearer = tuple(t.model_copy(update={"cents_per_hour": (t.cents_per_hour or 0) + 1}) for t in catalog.tiers())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "tiers", lambda: dearer)
        asking.approve()
        asking.became(S.SUPERSEDED, "has changed since")


def short_of_money(asking: Asking) -> None:
    """Approved after the money was spent otherwise."""
    asking.limit_is(1)
    asking.approve()
    asking.limit_is(53)


def by_somebody_without_the_role(asking: Asking) -> None:
    """Approved after the one who asked became a viewer."""
    give_role(asking.stage, "U0ELENA", Role.VIEWER)
    asking.approve()
    give_role(asking.stage, "U0ELENA", Role.MEMBER)


def gone_before_its_launch(asking: Asking) -> None:
    """Approved and queued; then somebody cancels the run."""
    asking.approve()
    asking.became(S.APPROVED, "It is in the queue")
    cancel_job(asking.stage.db, clock=asking.clock, person=ELENA, job_id=asking.stage.job().id, reason="Testing")


def gone_from_the_queue(asking: Asking) -> None:
    """Approved after somebody cancelled the run that was to be moved."""
    with asking.stage.db.transaction() as tx:
        job = next(job for job in tx.jobs.recent(TEAM, 9) if job.name == "Waiting 1")
    cancel_job(asking.stage.db, clock=asking.clock, person=ELENA, job_id=job.id, reason="Testing")
    asking.approve()


def to_its_launch(asking: Asking) -> None:
    """Approved; launched is said when the machine has spoken, and not before."""
    asking.approve()
    asking.became(S.APPROVED, "It is in the queue")
    asking.stage.reconciler.step()
    assert asking.newest().state is S.APPROVED
    asking.stage.tell(*TRAINED)


def drafted(asking: Asking) -> None:
    """Asked for and thought better of it: nobody hears of it."""
    form = asking.draft(**GIVEN.get(asking.stage.context.provider, {}))
    assert fits(form.locator(".modal-body"))
    close(asking.asker)
    asking.stage.post()
    assert asking.newest().state is S.DRAFT
    expect(asking.decider.locator("#main")).not_to_contain_text("Approval needed")


def drafted_promotion(asking: Asking) -> None:
    """Pressed and thought better of it."""
    form = asking.promotion_draft(asking.asker.locator(f'[data-action-id="{ACTION_PROMOTE}"]').last)
    assert fits(form.locator(".modal-body"))
    close(asking.asker)
    asking.stage.post()
    assert asking.newest().state is S.DRAFT
    expect(asking.decider.locator("#main")).not_to_contain_text("Approval needed")


def start_of(asking: Asking) -> None:
    asking.start(**GIVEN.get(asking.stage.context.provider, {}))


GIVEN = {"modal": {"tier": ON_DEMAND}}
LIMIT = ways(
    higher_limit,
    Way(S.SUPERSEDED, at_other_limit(550_00), "– Superseded"),
    Way(S.LAUNCH_FAILED, at_other_limit(900_00), "The limit is $900.00 already."),
    Way(S.APPROVED, Asking.approve, "The limit is $1,000.00 now."),
)
PROMOTION = (
    Way(S.DRAFT, drafted_promotion, ""),
    *ways(
        Asking.promotion,
        Way(S.APPROVED, Asking.approve, "Waiting 2 is the next one to start."),
        Way(S.LAUNCH_FAILED, gone_from_the_queue, "Approved, but it could not be done"),
    ),
)
OVER_BUDGET = (
    Way(S.DRAFT, drafted, ""),
    *ways(
        start_of,
        Way(S.SUPERSEDED, at_other_price, "– Superseded"),
        Way(S.LAUNCH_FAILED, short_of_money, "$0.54 too little"),
        Way(S.LAUNCH_FAILED, by_somebody_without_the_role, "may not start training runs any more"),
        Way(S.LAUNCHED, to_its_launch, "✓ Approved and launched"),
    ),
)
COSTLY = (
    Way(S.DRAFT, drafted, ""),
    *ways(
        start_of,
        Way(S.SUPERSEDED, at_other_price, "– Superseded"),
        Way(S.LAUNCH_FAILED, gone_before_its_launch, "⚠ Approved, not launched"),
        Way(S.LAUNCHED, to_its_launch, "✓ Approved and launched"),
    ),
)


def walk(asking: Asking, life: tuple[Way, ...]) -> None:
    for way in life:
        way.go(asking)
        if way.said:
            asking.became(way.state, way.said)
        assert fits(asking.decider.locator("#main"))


def test_a_higher_limit(asking: Asking) -> None:
    walk(asking, LIMIT)


def test_a_place_in_the_queue(asking: Asking, demo_file: Path, tmp_path: Path) -> None:
    line_up(asking.stage, demo_file, tmp_path, "Training", "Waiting 1", "Waiting 2")
    walk(asking, PROMOTION)


@pytest.mark.usefixtures("training_file")
def test_a_start_over_the_budget(asking: Asking) -> None:
    asking.limit_is(53)
    walk(asking, OVER_BUDGET)


def dear(context: BotContext) -> BotContext:
    return replace(context, provider="modal")


@pytest.fixture
def on_demand() -> Iterator[None]:
    """A rate card with machines that nobody takes away, at a price at which a short run passes $150."""
    steady = {"offered": True, "cents_per_hour": 500_00, "explanation": "Nobody takes it away."}
    card = tuple(t.model_copy(update=steady) if t.key == ON_DEMAND else t for t in catalog.tiers())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "tiers", lambda: card)
        yield


@pytest.mark.usefixtures("on_demand", "training_file")
@pytest.mark.parametrize("arranged", [dear])
def test_a_dear_start_without_interruptions(asking: Asking) -> None:
    asking.stage.open_review(**GIVEN["modal"])
    review = modal(asking.asker, REVIEW_CALLBACK)
    tick_and_start(asking.asker, review)
    for said in ("A run without interruptions that may cost $", "Ask for one with “Ask for approval…” above."):
        expect(review.get_by_test_id("input-error")).to_contain_text(said, timeout=PATIENCE_MS)
    close(asking.asker)
    walk(asking, COSTLY)


def test_every_state_of_every_kind_is_walked_or_said_to_be_out_of_reach() -> None:
    lives = {K.LIMIT_INCREASE: LIMIT, K.PROMOTION: PROMOTION, K.OVER_BUDGET_START: OVER_BUDGET, K.COSTLY_START: COSTLY}
    walked = {(kind, way.state) for kind, life in lives.items() for way in life}
    # On the way: every request waits, and every start is approved before it is launched or not.
    walked |= {(kind, S.PENDING) for kind in K} | {(kind, S.APPROVED) for kind in STARTS}
    assert walked | set(UNREACHABLE) == set(itertools.product(K, S))
