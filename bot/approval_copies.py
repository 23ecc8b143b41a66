"""Keeps every copy of a request in step with it: posts where there is none, edits where it has moved on.

A post is marked before Slack is called. If nobody saw its end, it is looked for by its metadata first.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from http.client import HTTPException

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from blocks.approvals import approval_message, reminder
from blocks.text import channel
from bot.context import BotContext
from bot.errors import new_reference
from bot.marks import find_marked, mark
from bot.refusals import MAX_DELAY, backoff, judge, reason_of
from functions.errors import BrightRunError
from functions.model.approval import Approval, ApprovalCopy, ApprovalState

log = logging.getLogger(__name__)

# The copy that should be edited is not there any more, or not ours to edit.
_GONE = {"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"}


class ApprovalCopies:
    """Sends what is out of date, one copy at a time."""

    def __init__(self, context: BotContext, client: WebClient) -> None:
        self._context = context
        self._client = client

    def step(self) -> bool:
        """Bring the next copy up to date; whether there was one."""
        with self._context.db.transaction() as tx:
            copy = tx.approvals.claim_copy(self._context.clock())
            request = tx.approvals.get(copy.request_id) if copy else None
        if copy is None or request is None:
            return False
        try:
            channel_id, ts = self._bring(copy, request)
            self._nudge(copy, request, channel_id, ts)
        except SlackApiError as error:
            self._refused(copy, request, error)
        except (SlackClientError, HTTPException, OSError, BrightRunError) as error:
            self._later(copy, backoff(copy.tries), repr(error), unseen=True)
        except Exception:
            # One copy that cannot be drawn must not silence all others.
            reference = new_reference()
            log.exception("request %s for %s: reference %s", copy.request_id, copy.recipient, reference)
            self._later(copy, MAX_DELAY, f"unexpected, reference {reference}", unseen=True)
        else:
            with self._context.db.transaction() as tx:
                tx.approvals.copy_sent(
                    copy, channel_id=channel_id, ts=ts, version=request.version, nudged=request.reminded
                )
        return True

    def _bring(self, copy: ApprovalCopy, request: Approval) -> tuple[str, str]:
        text, blocks = approval_message(request, self._card_link(request))
        if copy.ts:
            self._client.chat_update(channel=copy.channel_id, ts=copy.ts, text=text, blocks=blocks)
            return copy.channel_id, copy.ts
        channel_id = copy.channel_id or self._place(copy.recipient)
        ts = self._posted(self._name(copy), copy, request, channel_id)
        if ts:
            self._client.chat_update(channel=channel_id, ts=ts, text=text, blocks=blocks)
        else:
            answer = self._client.chat_postMessage(
                channel=channel_id, text=text, blocks=blocks, metadata=mark(self._name(copy))
            )
            ts = str(answer["ts"])
        with self._context.db.transaction() as tx:
            tx.approvals.copy_placed(copy, channel_id=channel_id, ts=ts)
        return channel_id, ts

    def _card_link(self, request: Approval) -> str:
        """The address of the launched run's card, where everybody can follow it; "" where there is none."""
        if request.state is not ApprovalState.LAUNCHED or request.job_id is None:
            return ""
        with self._context.db.transaction() as tx:
            card = tx.outbox.card(request.job_id)
        if card is None or not channel(card.channel_id):
            return ""
        try:
            return str(self._client.chat_getPermalink(channel=card.channel_id, message_ts=card.ts)["permalink"])
        except SlackApiError as error:
            if judge(error, 0).wait is not None and reason_of(error) not in _GONE:
                raise
            return ""  # the card or its channel is gone

    def _nudge(self, copy: ApprovalCopy, request: Approval, channel_id: str, ts: str) -> None:
        """A reminder below the copy, which rings a bell as no edit does; once each."""
        if request.state is not ApprovalState.PENDING or request.reminded <= copy.nudged:
            return
        if not copy.ts:  # just posted, which rang
            return
        name = f"{self._name(copy)}:reminder-{request.reminded}"
        if self._posted(name, copy, request, channel_id, thread_ts=ts):
            return
        self._client.chat_postMessage(channel=channel_id, thread_ts=ts, text=reminder(request), metadata=mark(name))

    def _place(self, recipient: str) -> str:
        if recipient.startswith(("U", "W")):
            return str(self._client.conversations_open(users=recipient)["channel"]["id"])
        return recipient

    def _posted(
        self, name: str, copy: ApprovalCopy, request: Approval, channel_id: str, thread_ts: str | None = None
    ) -> str | None:
        """The ts of a post whose end nobody saw."""
        if copy.sending_since is None:
            return None
        return find_marked(self._client, name, channel_id=channel_id, thread_ts=thread_ts, since=request.created_at)

    @staticmethod
    def _name(copy: ApprovalCopy) -> str:
        return f"approval:{copy.request_id}:{copy.recipient}"

    def _refused(self, copy: ApprovalCopy, request: Approval, error: SlackApiError) -> None:
        refusal = judge(error, copy.tries)
        if refusal.wait is None or refusal.reason in _GONE:
            log.error("request %s for %s cannot be sent: %s", copy.request_id, copy.recipient, refusal.reason)
            with self._context.db.transaction() as tx:
                tx.approvals.give_copy_up(copy, version=request.version)
            return
        # Only of a call that was too many it is sure that nothing was done.
        self._later(copy, refusal.wait, f"Slack: {refusal.reason}", unseen=error.response.status_code != 429)

    def _later(self, copy: ApprovalCopy, delay: timedelta, why: str, *, unseen: bool) -> None:
        log.warning("request %s for %s waits %s: %s", copy.request_id, copy.recipient, delay, why)
        # A doubt of an earlier try is not removed by a later one that did not come through either.
        unseen = unseen or copy.sending_since is not None
        with self._context.db.transaction() as tx:
            tx.approvals.copy_later(copy, not_before=self._context.clock() + delay, unseen=unseen)
