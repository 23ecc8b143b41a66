"""/jobs, and the details of a job."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks.card import ACTION_DETAILS
from blocks.home import ACTION_ALL_JOBS
from blocks.jobs import job_details as details_view
from blocks.jobs import job_list as list_view
from bot.commands import JOBS
from bot.context import BotContext
from bot.modals import answer_in_modal
from bot.request import origin
from functions.access import require
from functions.jobs import job_details, job_list
from functions.model.people import Permission


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    jobs = Jobs(context)
    app.command(JOBS)(jobs.list)
    app.action(ACTION_ALL_JOBS)(jobs.list)
    app.action(ACTION_DETAILS)(jobs.details)


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

        answer_in_modal(self._context, body, client, title="Run details", command=JOBS, content=content)
