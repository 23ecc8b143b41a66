"""The only sender to Slack of what jobs have to tell: one card a job, edited in place, milestones below it.

A message is marked as being sent, in a transaction of its own, before Slack is called. If the process dies
in between, the next one finds the mark and looks the message up by its metadata before it sends it again.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from http.client import HTTPException

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.context import BotContext
from bot.errors import new_reference
from bot.posting import Posted, Poster
from bot.refusals import backoff, details_of, judge
from functions.errors import BrightRunError
from functions.jobs import card_view
from functions.model.outbox import Card, Notice, OutboxMessage
from functions.model.views import CardView

log = logging.getLogger(__name__)

# A message that cannot be drawn after so many tries, over about a minute, never will be; its job has more to tell.
_DRAWING_TRIES = 6


class OutboxWorker:
    """Sends what is due, one message at a time."""

    def __init__(self, context: BotContext, client: WebClient) -> None:
        self._context = context
        self._poster = Poster(context, client)

    def step(self) -> bool:
        """Send the next message that is due; whether there was one."""
        with self._context.db.transaction() as tx:
            message = tx.outbox.claim(self._context.clock())
        if message is None:
            return False
        with self._context.db.transaction() as tx:
            # Locked, and only after the claim: who changed the job while this message still waited put no second one
            # behind it and may not have committed yet. What is drawn now has to show that change.
            job = tx.jobs.get(message.job_id, lock=True) if message.job_id else None
            card = tx.outbox.card(job.id) if job else None
            now, limits = self._context.clock(), self._context.limits
            view = card_view(tx, job=job, now=now, limits=limits) if job else None
        if view is None and message.job_id is not None:
            self._drop(message, "the job is gone")
        else:
            self._attempt(message, view, card)
        return True

    def _attempt(self, message: OutboxMessage, view: CardView | None, card: Card | None) -> None:
        try:
            posted = self._poster.send(message, view, card) if view else self._poster.tell_team(message)
        except SlackApiError as error:
            self._refused(message, error)
        except (SlackClientError, HTTPException, OSError, BrightRunError) as error:
            self._later(message, backoff(message.attempts), repr(error))
        except Exception:
            # One message that cannot be drawn must not silence all others.
            reference = new_reference()
            log.exception("message %s of job %s: reference %s", message.id, message.job_id, reference)
            if message.attempts + 1 < _DRAWING_TRIES:
                self._later(message, backoff(message.attempts), f"unexpected, reference {reference}")
            else:
                self._set_aside(message, card, reference)
        else:
            self._settle(message, posted, card)

    def _set_aside(self, message: OutboxMessage, card: Card | None, reference: str) -> None:
        """Give one message up, so that its job's later ones come through, and say so where it is missed."""
        log.error(
            "message %s of job %s (%s) is set aside after %s tries: reference %s",
            message.id, message.job_id, message.notice.value, _DRAWING_TRIES, reference,
        )  # fmt: skip
        # A card is drawn again at the job's next news; a milestone never comes back.
        if card is not None and message.notice is not Notice.CARD:
            try:
                self._poster.say_set_aside(message, card, reference)
            except SlackApiError as error:
                self._refused(message, error)
                return
            except (SlackClientError, HTTPException, OSError) as error:
                self._later(message, backoff(message.attempts), repr(error))
                return
        self._drop(message, f"set aside, reference {reference}")

    def _settle(self, message: OutboxMessage, posted: Posted, card: Card | None) -> None:
        with self._context.db.transaction() as tx:
            if posted.card is not None and posted.card != card:
                tx.outbox.set_card(posted.card)
            tx.outbox.sent(message.id, ts=posted.ts, at=self._context.clock())

    def _refused(self, message: OutboxMessage, error: SlackApiError) -> None:
        refusal = judge(error, message.attempts)
        if refusal.wait is None:
            detail = details_of(error)
            log.error("message %s of job %s cannot be sent: %s %s", message.id, message.job_id, refusal.reason, detail)
            self._drop(message, refusal.reason)
            return
        if refusal.for_admin:
            log.error("Slack refuses the bot (%s); an admin has to install it or renew its token", refusal.reason)
        self._later(message, refusal.wait, refusal.reason)

    def _later(self, message: OutboxMessage, delay: timedelta, why: str) -> None:
        log.info("message %s of job %s waits %s: %s", message.id, message.job_id, delay, why)
        with self._context.db.transaction() as tx:
            tx.outbox.retry(message.id, not_before=self._context.clock() + delay, error=why)

    def _drop(self, message: OutboxMessage, why: str) -> None:
        with self._context.db.transaction() as tx:
            tx.outbox.drop(message.id, error=why)
