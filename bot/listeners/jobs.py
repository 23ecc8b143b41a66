"""/jobs, the details of a job, and taking a failed one up again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks.card import ACTION_DETAILS, ACTION_RETRY
from blocks.home import ACTION_ALL_JOBS
from blocks.jobs import job_details as details_view
from blocks.jobs import job_list as list_view
from bot import messages
from bot.commands import JOBS
from bot.context import BotContext
from bot.errors import ephemeral, shown
from bot.last_resort import told
from bot.modals import answer_in_modal
from bot.request import first_time, origin
from functions.access import require
from functions.jobs import job_details, job_list
from functions.model.people import Permission
from functions.start import retry_job


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    jobs = Jobs(context)
    app.command(JOBS)(jobs.list)
    app.action(ACTION_ALL_JOBS)(jobs.list)
    app.action(ACTION_DETAILS)(jobs.details)
    app.action(ACTION_RETRY)(jobs.retry)


class Jobs:
    """The listeners of /jobs."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def list(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """`/jobs`, and "All jobs" in App Home."""
        ack()

        def content(_: str) -> dict[str, Any]:
            asked = origin(body)
            require(asked.person(self._context), Permission.VIEW)
            with self._context.db.transaction() as tx:
                now, limits = self._context.clock(), self._context.limits
                return list_view(job_list(tx, team_id=asked.team_id, now=now, limits=limits))

        answer_in_modal(self._context, body, client, title="Training runs", command=JOBS, content=content)

    def details(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """Details, on a card, in the list or in App Home."""
        ack()
        job_id = UUID(body["actions"][0]["value"])

        def content(_: str) -> dict[str, Any]:
            asked = origin(body)
            require(asked.person(self._context), Permission.VIEW)
            with self._context.db.transaction() as tx:
                now, limits = self._context.clock(), self._context.limits
                return details_view(job_details(tx, team_id=asked.team_id, job_id=job_id, now=now, limits=limits))

        in_modal = (body.get("view") or {}).get("type") == "modal"
        answer_in_modal(self._context, body, client, title="Run details", command=JOBS, content=content, push=in_modal)

    def retry(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The button of a failed job's card."""
        ack()
        self._context.later(told(lambda: self._take_up(body, client), body=body, client=client))

    def _take_up(self, body: dict[str, Any], client: WebClient) -> None:
        if not first_time(self._context, body):
            return
        asked = origin(body)
        tell = ephemeral(client, channel_id=asked.channel_id or asked.user_id, user_id=asked.user_id)

        def take_up() -> None:
            job = retry_job(
                self._context.db,
                clock=self._context.clock,
                person=asked.person(self._context),
                job_id=UUID(body["actions"][0]["value"]),
            )
            tell(messages.taken_up_again(job.name), [])

        shown(take_up, tell)
