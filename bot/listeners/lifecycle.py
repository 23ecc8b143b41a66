"""Cancel, pause, resume, move to the front: the buttons of a card and the forms behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks import lifecycle as screens
from blocks.approvals import ASK_TITLE, ask_form
from bot import messages
from bot.commands import JOBS
from bot.context import BotContext
from bot.errors import sentence
from bot.modals import answer_in_modal
from bot.over_budget import answer_over_budget
from bot.presses import answer_privately
from bot.request import origin
from functions import lifecycle
from functions.access import require
from functions.approval_quotes import Asked
from functions.approvals import open_request
from functions.errors import Conflict, InvalidInput, OverBudget
from functions.find_job import get_job
from functions.jobs import card_view
from functions.model.approval import ApprovalKind
from functions.model.job import Job
from functions.model.people import Permission, Person
from functions.model.states import TERMINAL
from functions.model.views import ResumeView
from functions.ports import Transaction

View = dict[str, Any]


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    listeners = Lifecycle(context)
    app.action(screens.ACTION_CANCEL)(listeners.ask_cancel)
    app.action(screens.ACTION_RESUME)(listeners.ask_resume)
    app.action(screens.ACTION_SWITCH)(listeners.ask_switch)
    app.action(screens.ACTION_PAUSE)(listeners.pause)
    app.action(screens.ACTION_PROMOTE)(listeners.promote)
    app.view(screens.CANCEL_CALLBACK)(listeners.cancel)
    app.view(screens.RESUME_CALLBACK)(listeners.resume)
    app.view(screens.SWITCH_CALLBACK)(listeners.switch)


class Lifecycle:
    """The listeners of what people do to a run."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def ask_cancel(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Cancel…": what it has cost and how far it is, and why to end it."""

        def content(tx: Transaction, person: Person, job_id: UUID) -> View:
            require(person, Permission.STOP_JOBS)
            job = get_job(tx, team_id=person.team_id, job_id=job_id)
            if job.state in TERMINAL:
                raise Conflict(f"{job.name} has ended already: it is {job.state.value}.")
            now, limits = self._context.clock(), self._context.limits
            return screens.cancel_view(card_view(tx, job=job, now=now, limits=limits))

        self._ask(ack, body, client, screens.CANCEL_TITLE, content)

    def ask_resume(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Resume…": on which machine, at which price."""
        self._ask_machine(ack, body, client, screens.RESUME_TITLE, lifecycle.resume_view, screens.resume_view)

    def ask_switch(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Switch machine…", while no GPU is free: where it could run instead."""
        self._ask_machine(ack, body, client, screens.SWITCH_TITLE, lifecycle.switch_view, screens.switch_view)

    def _ask_machine(
        self,
        ack: Ack,
        body: dict[str, Any],
        client: WebClient,
        title: str,
        look: Callable[..., ResumeView],
        draw: Callable[[ResumeView], View],
    ) -> None:
        def content(tx: Transaction, person: Person, job_id: UUID) -> View:
            require(person, Permission.START_JOBS)
            return draw(look(tx, team_id=person.team_id, job_id=job_id, now=self._context.clock()))

        self._ask(ack, body, client, title, content)

    def _ask(
        self,
        ack: Ack,
        body: dict[str, Any],
        client: WebClient,
        title: str,
        content: Callable[[Transaction, Person, UUID], View],
    ) -> None:
        ack()
        job_id = UUID(body["actions"][0]["value"])

        def fill(_: str) -> View:
            person = origin(body).person(self._context)
            with self._context.db.transaction() as tx:
                return content(tx, person, job_id)

        answer_in_modal(self._context, body, client, title=title, command=JOBS, content=fill)

    def cancel(self, ack: Ack, body: dict[str, Any]) -> None:
        """The cancel form, confirmed."""
        values = body["view"]["state"]["values"]
        if not values[screens.SURE_BLOCK][screens.SURE_ACTION].get("selected_options"):
            ack(response_action="errors", errors={screens.SURE_BLOCK: "Please tick this to cancel the run."})
            return
        chosen = values[screens.REASON_BLOCK][screens.REASON_ACTION].get("selected_option") or {}
        try:
            job = lifecycle.cancel_job(
                self._context.db,
                clock=self._context.clock,
                person=origin(body).person(self._context),
                job_id=_job_id(body),
                reason=chosen.get("value", ""),
                notes=values[screens.NOTES_BLOCK][screens.NOTES_ACTION].get("value") or "",
            )
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            block = screens.NOTES_BLOCK if _field(error) == "notes" else screens.REASON_BLOCK
            ack(response_action="errors", errors={block: sentence(error)})
            return
        ack(response_action="update", view=screens.stopping(job))

    def resume(self, ack: Ack, body: dict[str, Any]) -> None:
        """The resume form, confirmed."""
        self._move(ack, body, lifecycle.resume_paused, screens.resumed)

    def switch(self, ack: Ack, body: dict[str, Any]) -> None:
        """The form for another machine, confirmed."""
        self._move(ack, body, lifecycle.switch_machine, screens.switched)

    def _move(self, ack: Ack, body: dict[str, Any], act: Callable[..., Job], done: Callable[[Job], View]) -> None:
        chosen = body["view"]["state"]["values"][screens.TIER_BLOCK][screens.TIER_ACTION].get("selected_option") or {}
        try:
            job = act(
                self._context.db,
                clock=self._context.clock,
                person=origin(body).person(self._context),
                job_id=_job_id(body),
                tier=chosen.get("value", ""),
            )
        except OverBudget as error:
            channel_id = json.loads(body["view"]["private_metadata"]).get("channel", "")
            answer_over_budget(ack, body["view"], error, job_id=str(_job_id(body)), channel_id=channel_id)
            return
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            ack(response_action="errors", errors={screens.TIER_BLOCK: sentence(error)})
            return
        ack(response_action="update", view=done(job))

    def pause(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Pause", confirmed in Slack's own dialog."""

        def act(person: Person, job_id: UUID) -> str:
            job = lifecycle.pause_job(self._context.db, clock=self._context.clock, person=person, job_id=job_id)
            return messages.pausing(job.name)

        self._do(ack, body, client, act)

    def promote(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Move to front": a manager does it at once, confirmed in Slack's own dialog; anybody else says why."""
        person = origin(body).person(self._context)
        if person.may(Permission.START_JOBS) and not person.may(Permission.PROMOTE_JOBS):
            self._ask_to_promote(ack, body, client)
            return

        def act(person: Person, job_id: UUID) -> str:
            job = lifecycle.promote_job(self._context.db, clock=self._context.clock, person=person, job_id=job_id)
            return messages.promoted(job.name)

        self._do(ack, body, client, act)

    def _ask_to_promote(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        ack()
        asked = Asked(kind=ApprovalKind.PROMOTION, job_id=UUID(body["actions"][0]["value"]))

        def content(_: str) -> View:
            draft = open_request(
                self._context.db,
                self._context.files,
                clock=self._context.clock,
                provider=self._context.provider,
                person=origin(body).person(self._context),
                asked=asked,
                channel_id=origin(body).channel_id,
                limits=self._context.limits,
            )
            return ask_form(draft)

        answer_in_modal(self._context, body, client, title=ASK_TITLE, command=JOBS, content=content)

    def _do(self, ack: Ack, body: dict[str, Any], client: WebClient, act: Callable[[Person, UUID], str]) -> None:
        ack()
        job_id = UUID(body["actions"][0]["value"])
        answer_privately(self._context, body, client, lambda person: (act(person, job_id), []))


def _job_id(body: dict[str, Any]) -> UUID:
    return UUID(json.loads(body["view"]["private_metadata"])["job"])


def _field(error: Exception) -> str:
    return error.field if isinstance(error, InvalidInput) else ""
