"""The whole product on one stage: real bot, real Postgres, the workspace, links over HTTP; machines on paper."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from blocks.card import ACTION_DETAILS
from blocks.datasets import ACTION_ADD, ADD_CALLBACK, ADD_FILE_ACTION, CONFIRM_CALLBACK, LIST_CALLBACK
from blocks.review import CHECKLIST_ACTION, REVIEW_CALLBACK
from blocks.train_form import ACTION_FILE, TRAIN_CALLBACK
from bot.app import create_app
from bot.approval_copies import ApprovalCopies
from bot.commands import COMMANDS
from bot.context import BotContext
from bot.outbox import OutboxWorker
from functions.model.events import Body
from functions.model.job import Job
from functions.model.people import Role
from functions.ports import Files
from functions.reconcile import Reconciler
from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.http.stripe import StripeRoutes
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from infra.workspace.app import WorkspaceConfig
from infra.workspace.client import Person, WorkspaceClient
from infra.workspace.serving import WorkspaceServer
from tests.conftest import BUDGET_CENTS
from tests.logins import WANTED, Logins, logged_in
from tests.scenario.bot_house import BOT_TOKEN, bot_context
from tests.scenario.house import TEAM, SetClock, say
from tests.scenario.paper import PaperCompute
from tests.serving import served

CHANNEL = "C0TRAINING"
SIGNING_SECRET = "stage"
SECRET = "the service's own, long enough to be one"
CHECKS = ["configuration", "cost", "approval"]
Json = dict[str, Any]


@dataclass
class ClockAhead:
    """The time of day, and what was added to it."""

    lead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return utc_now() + self.lead

    def forward(self, **time: float) -> None:
        """Let time pass."""
        self.lead += timedelta(**time)


@dataclass
class Stage:
    """People at the page, and what stands behind it."""

    workspace: WorkspaceServer
    client: WorkspaceClient
    db: PostgresDatabase
    logins: Logins
    files: Files
    compute: PaperCompute
    context: BotContext
    reconciler: Reconciler
    worker: OutboxWorker
    copies: ApprovalCopies
    ahead: ClockAhead
    url: str

    @property
    def elena(self) -> Person:
        """An engineer."""
        return self.client.as_user("U0ELENA")

    @property
    def vic(self) -> Person:
        """A viewer."""
        return self.client.as_user("U0VIEWER")

    def job(self) -> Job:
        """The newest job."""
        with self.db.transaction() as tx:
            return tx.jobs.recent(TEAM, 1)[0]

    def jobs(self) -> int:
        """How many jobs there are."""
        with self.db.transaction() as tx:
            return tx.jobs.count(TEAM)

    def tell(self, *bodies: Body, first: int = 1) -> None:
        """The GPU job says something."""
        say(self.logins.ingest, SetClock(utc_now()), self.job(), *bodies, first=first)

    def post(self) -> None:
        """Send what waits in the outbox, due or not yet due: the worker's clock runs ahead."""
        for _ in range(120):
            while self.worker.step() or self.copies.step():
                pass
            with self.db.transaction() as tx:
                if tx.outbox.waiting() == 0:
                    return
            self.ahead.forward(seconds=1)
        raise AssertionError("the outbox does not empty")

    def card(self) -> Json:
        """The newest job's card."""
        return self.elena.wait_message(
            CHANNEL, lambda m: "ephemeral_for" not in m and f"'action_id': '{ACTION_DETAILS}'" in str(m.get("blocks"))
        )

    def card_of(self, job_id: UUID) -> Json:
        """The card of any job."""
        with self.db.transaction() as tx:
            row = tx.jobs._one("select ts from job_cards where job_id = %s", job_id)
        return next(m for m in self.client.all_messages(CHANNEL) if row and m["ts"] == row["ts"])

    def thread(self) -> list[Json]:
        """The messages below the newest card."""
        top = self.card()["ts"]
        return [m for m in self.client.all_messages(CHANNEL) if m.get("thread_ts") == top and m["ts"] != top]

    def add_file(self, path: Path, person: Person | None = None) -> Json:
        """/datasets → Add → the file → the report."""
        person = person or self.elena
        assert person.command(CHANNEL, "/datasets") == {"ok": True}
        # What is shown first says that it loads, under the same name.
        ready = person.wait_view(LIST_CALLBACK, when=lambda view: ACTION_ADD in str(view["blocks"]))
        person.click(ready, ACTION_ADD)
        form = person.wait_view(ADD_CALLBACK)
        answer = person.submit(form, {ADD_FILE_ACTION: [person.upload(path.name, path.read_bytes())]})
        assert answer["ok"], answer
        return person.wait_view(CONFIRM_CALLBACK, 20)

    def add_demo_file(self, path: Path) -> None:
        """The demo's file, added by an engineer."""
        self.elena.submit(self.add_file(path), {})
        added = self.elena.wait_view(LIST_CALLBACK, 20)
        self.elena.close(added, whole_stack=True)

    def open_form(self, **given: Any) -> Json:
        """/train with the only training file chosen."""
        assert self.elena.command(CHANNEL, "/train") == {"ok": True}
        form = self.elena.wait_view(TRAIN_CALLBACK)
        option = self.elena.options(form, ACTION_FILE, "")[0]
        self.elena.fill(form, {ACTION_FILE: option})
        form = self.elena.wait_view(TRAIN_CALLBACK, when=lambda view: "pairs" in words(view))
        self.elena.fill(form, given)
        return self.elena.wait_view(TRAIN_CALLBACK)

    def open_review(self, **given: Any) -> Json:
        """Form, then review."""
        assert self.elena.submit(self.open_form(**given)) == {"ok": True}
        return self.elena.wait_view(REVIEW_CALLBACK)

    def start(self, **given: Any) -> Job:
        """Form, review, ticks, start."""
        review = self.open_review(**given)
        assert self.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
        return self.job()


def words(place: Json) -> str:
    """Everything that a message or a view says, for reading."""
    found: list[str] = []

    def collect(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("text"), str):
                found.append(node["text"])
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for item in node:
                collect(item)

    collect(place.get("blocks", []))
    return "\n".join(found)


def free_port() -> int:
    """A port that nobody listens on: the workspace has to know the bot's address before the bot is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def staged(
    db: PostgresDatabase,
    folder: Path,
    *,
    change: Callable[[BotContext], BotContext] = lambda context: context,
    over_http: bool = False,
    files: Files | None = None,
    as_roles: bool = WANTED,
) -> Iterator[Stage]:
    """Everything up, over Socket Mode or over signed HTTP; files in a folder unless others are given.

    `as_roles`: every process has a login of its own, with no more than its rights.
    """
    with db.transaction() as tx:
        tx.people.set_role(TEAM, "U0VIEWER", Role.VIEWER)
        tx.people.set_role(TEAM, "U0MARCUS", Role.MANAGER)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = WorkspaceConfig(
        bot_token=BOT_TOKEN,
        app_token="xapp-test",
        signing_secret=SIGNING_SECRET,
        commands=COMMANDS,
        request_url=f"{url}/slack/events" if over_http else None,
        prefer_http=over_http,
    )
    with contextlib.ExitStack() as after:
        logins = after.enter_context(logged_in(db, limit_cents=BUDGET_CENTS)) if as_roles else Logins(db, db, db)
        workspace = WorkspaceServer(config)
        # Closed after the workspace: the SDK would wait 3 s for the next byte of a live connection.
        closing = after.enter_context(contextlib.ExitStack())
        after.enter_context(workspace)
        client = after.enter_context(WorkspaceClient(workspace.base_url))
        files = files or LocalFiles(folder / "files", secret=SECRET, base_url=url, clock=utc_now)
        context = change(bot_context(logins.bot, files))
        app = create_app(
            context, client=WebClient(token=BOT_TOKEN, base_url=workspace.api_url), signing_secret=SIGNING_SECRET
        )
        slack_app = app if over_http else None
        stripe = StripeRoutes(logins.bot, context.payments, clock=utc_now)
        http = create_http_app(logins.ingest, files, secret=SECRET, clock=utc_now, slack_app=slack_app, stripe=stripe)
        after.enter_context(served(http, port))
        if not over_http:
            handler = SocketModeHandler(app, "xapp-test")
            closing.callback(handler.close)
            handler.connect()
            after.callback(setattr, handler.client, "auto_reconnect_enabled", False)
        compute = PaperCompute()
        reconciler = Reconciler(
            logins.functions, files, compute, clock=utc_now, secret=SECRET, service_url=url, max_running=1
        )
        ahead = ClockAhead()
        # Slack's rates are told in real seconds, which the worker's clock does not wait for.
        client.control("rate_limits", {"on": False})
        slack = WebClient(token=BOT_TOKEN, base_url=workspace.api_url, retry_handlers=[])
        worker = OutboxWorker(replace(context, clock=ahead), slack)
        copies = ApprovalCopies(replace(context, clock=ahead), slack)
        yield Stage(workspace, client, db, logins, files, compute, context, reconciler, worker, copies, ahead, url)
