"""What jobs have to tell reaches Slack once and in order, whatever Slack or this machine does in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.context import BotContext
from bot.outbox import OutboxWorker
from functions.jobs import card_view
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.model.views import MetricPoint
from infra.clock import utc_now
from infra.local_files import LocalFiles
from infra.pictures import FigurePictures
from infra.postgres.database import PostgresDatabase
from infra.postgres.outbox import CUT_OFF
from infra.workspace.app import WorkspaceConfig
from infra.workspace.client import WorkspaceClient
from infra.workspace.serving import WorkspaceServer
from tests.scenario.bot_house import BOT_TOKEN, bot_context
from tests.scenario.house import CHANNEL, ELENA, LIMITS, SetClock, add_demo_file, start

Json = dict[str, Any]
DIRECT = "D0ELENA"


class PostRoom:
    """A queued job whose card waits in the outbox, the workspace, and a clock that is moved by hand."""

    def __init__(self, db: PostgresDatabase, folder: Path, demo_file: Path, workspace: WorkspaceServer) -> None:
        self.db = db
        self.clock = SetClock(utc_now())
        files = LocalFiles(folder / "files", secret="s", base_url="http://localhost", clock=self.clock)
        self.context = replace(bot_context(db, files), clock=self.clock)
        self.slack = WebClient(token=BOT_TOKEN, base_url=workspace.api_url, retry_handlers=[])
        self.people = WorkspaceClient(workspace.base_url)
        self.file = add_demo_file(db, files, demo_file, self.clock)
        self.job: Job = start(db, files, self.file, self.clock)
        self.worker = self.new_worker()

    def new_worker(self, context: BotContext | None = None) -> OutboxWorker:
        """A process that starts with nothing in its memory."""
        return OutboxWorker(context or self.context, self.slack)

    def put(self, notice: Notice, key: str = "", **data: float | int | str | None) -> None:
        """Something happened to the job."""
        with self.db.transaction() as tx:
            tx.outbox.put(job=self.job, notice=notice, key=key, at=self.clock(), data=data)

    def fault(self, kind: str, method: str = "chat.postMessage", **how: Any) -> None:
        """Slack does this to the next call."""
        self.people.control("faults", [{"method": method, "kind": kind, **how}])

    def send(self, *, seconds: float = 0) -> bool:
        """Let time pass and send what is due by then; whether anything was."""
        self.clock.forward(seconds=seconds)
        busy = False
        while self.worker.step():
            busy = True
        return busy

    def waiting(self) -> int:
        """Messages not yet sent."""
        with self.db.transaction() as tx:
            return tx.outbox.waiting()

    def texts(self, channel: str = CHANNEL) -> list[str]:
        """What stands in a channel, threads included."""
        if channel == DIRECT:
            self.slack.conversations_open(users=ELENA.user_id)
        return [message["text"] for message in self.people.all_messages(channel)]

    def top(self, channel: str) -> list[Json]:
        """The messages of a channel that are no replies."""
        found = self.people.all_messages(channel)
        return [message for message in found if message.get("thread_ts", message["ts"]) == message["ts"]]


@pytest.fixture
def room(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[PostRoom]:
    config = WorkspaceConfig(bot_token=BOT_TOKEN, app_token="xapp-test", signing_secret="s")
    with WorkspaceServer(config) as workspace:
        ready = PostRoom(db, tmp_path, demo_file, workspace)
        yield ready
        ready.people.close()


def test_when_slack_says_later_it_is_later(room: PostRoom) -> None:
    room.fault("ratelimit", retry_after=7)
    assert room.send()
    assert room.texts() == []
    assert not room.send(seconds=6.9)
    assert room.send(seconds=0.2)
    assert len(room.texts()) == 1


def test_failures_in_a_row_are_waited_for_longer_and_longer(room: PostRoom) -> None:
    room.fault("status", times=3, status=500)
    room.send()
    for pause in (1, 2, 4):
        assert room.texts() == []
        assert not room.send(seconds=pause - 0.1)
        assert room.send(seconds=0.2)
    assert len(room.texts()) == 1
    assert room.waiting() == 0


@pytest.mark.parametrize("notice", [Notice.CARD, Notice.STARTED])
def test_a_message_that_was_posted_before_the_line_broke_is_not_posted_again(room: PostRoom, notice: Notice) -> None:
    if notice is not Notice.CARD:
        room.send()
        room.put(notice, "once")
    room.fault("drop_after")
    room.send()
    before = room.texts()
    assert room.waiting() == 1
    assert room.send(seconds=2)
    assert room.texts() == before
    assert room.waiting() == 0
    room.put(Notice.CARD)
    room.send(seconds=4)
    assert len(room.people.calls("chat.update")) == 1


def test_it_is_found_again_below_pages_of_other_messages(room: PostRoom) -> None:
    room.fault("drop_after")
    room.send()
    room.people.control("rate_limits", {"on": False})
    for number in range(205):
        room.slack.chat_postMessage(channel=CHANNEL, text=f"Talk {number}")
    before = room.texts()
    assert room.send(seconds=2)
    assert room.waiting() == 0
    assert room.texts() == before


def test_a_process_that_died_between_sending_and_marking_leaves_no_double(room: PostRoom) -> None:
    with room.db.transaction() as tx:
        message = tx.outbox.claim(room.clock())
        view = card_view(tx, job=room.job, now=room.clock(), limits=LIMITS)
    assert message is not None
    room.worker._poster.send(message, view, None)  # and here it dies

    room.worker = room.new_worker()
    assert not room.send(seconds=CUT_OFF.seconds - 1)
    assert room.send(seconds=2)
    assert len(room.texts()) == 1
    assert room.waiting() == 0
    room.put(Notice.STARTED, "once")
    room.send()
    assert len(room.top(CHANNEL)) == 1
    assert len(room.texts()) == 2


def test_a_hundred_changes_edit_the_card_at_most_twice(room: PostRoom) -> None:
    room.send()
    for _ in range(50):
        room.put(Notice.CARD)
    room.clock.forward(seconds=4)
    with room.db.transaction() as tx:
        assert tx.outbox.claim(room.clock()) is not None  # one is on its way
    for _ in range(50):
        room.put(Notice.CARD)
    assert room.waiting() == 2
    room.send(seconds=CUT_OFF.seconds + 1)
    room.send(seconds=4)
    assert len(room.people.calls("chat.update")) == 2
    assert len(room.texts()) == 1


def test_a_change_that_is_committed_while_the_card_is_claimed_is_on_the_card(room: PostRoom) -> None:
    with room.db.transaction() as tx:
        tx.jobs.get(room.job.id, lock=True)
        tx.jobs.update(room.job.id, state=JobState.PROVISIONING)
        tx.outbox.put(job=room.job, notice=Notice.CARD, key="", at=room.clock(), data={})  # one waits already
        sending = threading.Thread(target=room.worker.step)
        sending.start()
        sending.join(0.5)
    sending.join(10)
    room.send(seconds=10)
    assert room.waiting() == 0
    assert "queued" not in room.texts()[0]


def test_what_a_job_tells_keeps_its_order_when_the_first_has_to_wait(room: PostRoom) -> None:
    room.put(Notice.STARTED, "once")
    room.put(Notice.INTERRUPTED, "1", step=3, cause="killed")
    room.put(Notice.RECOVERED, "2", step=3)
    room.fault("status", times=2, status=503)
    room.send()
    assert room.texts() == []
    room.send(seconds=1.1)
    room.send(seconds=2.1)
    card, first, second, third = room.texts()
    assert room.job.name in card
    assert "started" in first
    assert "machine was lost (killed)" in second
    assert "step 3" in third


def test_where_the_bot_is_not_in_the_channel_the_card_goes_to_the_one_who_asked(room: PostRoom) -> None:
    room.people.control("membership", {"channel": CHANNEL, "member": False})
    room.put(Notice.STARTED, "once")
    room.send()
    assert room.texts() == []
    why, card, started = room.texts(DIRECT)
    assert f"<#{CHANNEL}>" in why
    assert "/invite @Bright Run" in why
    assert room.job.name in card
    assert "started" in started
    room.put(Notice.CARD)
    room.send(seconds=4)
    assert room.people.calls("chat.update")[-1]["args"]["channel"] == DIRECT
    assert len(room.top(DIRECT)) == 2
    assert room.waiting() == 0


@pytest.mark.parametrize("broken", [2, 3])
def test_a_card_that_moves_is_not_doubled_when_the_line_breaks(room: PostRoom, broken: int) -> None:
    room.people.control("membership", {"channel": CHANNEL, "member": False})
    room.fault("drop_after", times=broken)  # the channel, then the reason, then the card
    for _ in range(4):
        room.send(seconds=10)
    assert len(room.texts(DIRECT)) == 2
    assert room.waiting() == 0


def test_in_an_archived_channel_the_run_goes_on_in_the_direct_messages(room: PostRoom) -> None:
    room.send()
    room.put(Notice.STARTED, "once")
    room.fault("error", error="is_archived")
    room.send()
    why, card, started = room.texts(DIRECT)
    assert "archived" in why
    assert room.job.name in card
    assert "started" in started


def test_a_deleted_card_goes_on_where_the_requester_finds_it(room: PostRoom) -> None:
    room.send()
    [card] = room.people.all_messages(CHANNEL)
    room.slack.chat_delete(channel=CHANNEL, ts=card["ts"])
    room.put(Notice.CARD)
    room.send(seconds=4)
    room.put(Notice.STARTED, "once")
    room.send()
    assert room.texts() == []
    why, card_text, started = room.texts(DIRECT)
    assert "was deleted" in why
    assert room.job.name in card_text
    assert "started" in started
    assert room.waiting() == 0


def test_a_milestone_below_a_deleted_card_is_not_lost(room: PostRoom) -> None:
    room.send()
    [card] = room.people.all_messages(CHANNEL)
    room.slack.chat_delete(channel=CHANNEL, ts=card["ts"])
    room.put(Notice.STARTED, "once")
    room.send()
    assert "started" in room.texts(DIRECT)[-1]


def test_refused_blocks_are_logged_and_the_sentence_goes_alone(
    room: PostRoom, caplog: pytest.LogCaptureFixture
) -> None:
    room.fault("error", error="invalid_blocks")
    room.send()
    assert room.job.name in room.texts()[0]
    assert not room.people.all_messages(CHANNEL)[0].get("blocks")
    assert "refused the blocks" in caplog.text


def test_what_slack_never_takes_is_logged_and_does_not_hold_up_the_rest(
    room: PostRoom, caplog: pytest.LogCaptureFixture
) -> None:
    room.fault("error", error="invalid_blocks", times=2)
    room.send()
    assert room.texts() == []
    assert room.waiting() == 0
    assert f"job {room.job.id} cannot be sent: invalid_blocks" in caplog.text
    room.put(Notice.STARTED, "once")
    room.send()
    assert len(room.texts()) == 2  # the card after all, and what it is about


def test_with_a_refused_token_everything_waits_for_the_admin(room: PostRoom, caplog: pytest.LogCaptureFixture) -> None:
    room.fault("error", error="invalid_auth")
    room.send()
    assert "an admin has to" in caplog.text
    assert room.waiting() == 1
    room.send(seconds=301)
    assert len(room.texts()) == 1


class NoPictures(FigurePictures):
    """A machine without fonts."""

    def loss_curve(self, job: Job, points: Sequence[MetricPoint]) -> bytes:
        raise KeyError("font")


def test_a_message_that_cannot_be_drawn_waits_and_is_found_in_the_log(
    room: PostRoom, caplog: pytest.LogCaptureFixture
) -> None:
    room.send()
    room.worker = room.new_worker(replace(room.context, pictures=NoPictures()))
    room.put(Notice.HELD_OUT, "5", step=5, loss=2.0)
    with caplog.at_level(logging.ERROR):
        assert room.send()
    assert "reference" in caplog.text
    room.worker = room.new_worker()
    room.send(seconds=2)
    assert len(room.texts()) == 2


def test_a_message_that_can_never_be_drawn_is_set_aside_and_holds_up_nothing(
    room: PostRoom, caplog: pytest.LogCaptureFixture
) -> None:
    room.send()
    room.worker = room.new_worker(replace(room.context, pictures=NoPictures()))
    room.put(Notice.HELD_OUT, "5", step=5, loss=2.0)
    room.put(Notice.INTERRUPTED, "1", step=5, cause="killed")
    with caplog.at_level(logging.ERROR):
        for _ in range(6):
            room.send(seconds=60)
    assert "set aside after 6 tries" in caplog.text
    assert room.waiting() == 0
    _, instead, interrupted = room.texts()
    assert "could not be drawn" in instead
    assert "held out" in instead
    assert "machine was lost" in interrupted


@pytest.mark.parametrize("kind", ["ratelimit", "status", "drop_after"])
def test_what_is_set_aside_is_said_once_however_slack_behaves(room: PostRoom, kind: str) -> None:
    room.send()
    room.worker = room.new_worker(replace(room.context, pictures=NoPictures()))
    room.put(Notice.HELD_OUT, "5", step=5, loss=2.0)
    for _ in range(5):
        room.send(seconds=60)
    room.fault(kind)
    for _ in range(3):
        room.send(seconds=301)
    assert len(room.texts()) == 2
    assert room.waiting() == 0
