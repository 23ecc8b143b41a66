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
from bot.context import BotContext
from bot.marks import find_marked, mark
from bot.posting import reason_of
from functions.errors import BrightRunError
from functions.model.approval import Approval, ApprovalCopy, ApprovalState

log = logging.getLogger(__name__)

_TRIES = 8
_MAX_DELAY = timedelta(minutes=5)


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
            refused = error.response.status_code == 200
            self._later(copy, f"Slack: {reason_of(error)}", posted=not refused)
        except (SlackClientError, HTTPException, OSError, BrightRunError) as error:
            self._later(copy, repr(error), posted=True)
        else:
            with self._context.db.transaction() as tx:
                tx.approvals.copy_sent(
                    copy, channel_id=channel_id, ts=ts, version=request.version, nudged=request.reminded
                )
        return True

    def _bring(self, copy: ApprovalCopy, request: Approval) -> tuple[str, str]:
        text, blocks = approval_message(request)
        if copy.ts:
            self._client.chat_update(channel=copy.channel_id, ts=copy.ts, text=text, blocks=blocks)
            return copy.channel_id, copy.ts
        channel_id = copy.channel_id or self._place(copy.recipient)
        found = self._posted(self._name(copy), copy, request, channel_id)
        if found:
            self._client.chat_update(channel=channel_id, ts=found, text=text, blocks=blocks)
            return channel_id, found
        answer = self._client.chat_postMessage(
            channel=channel_id, text=text, blocks=blocks, metadata=mark(self._name(copy))
        )
        return channel_id, str(answer["ts"])

    def _nudge(self, copy: ApprovalCopy, request: Approval, channel_id: str, ts: str) -> None:
        """A reminder below the copy, which rings a bell as no edit does; once each."""
        if request.state is not ApprovalState.PENDING or request.reminded <= copy.nudged:
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

    def _later(self, copy: ApprovalCopy, why: str, *, posted: bool) -> None:
        give_up = copy.tries >= _TRIES
        (log.error if give_up else log.warning)("request %s for %s: %s", copy.request_id, copy.recipient, why)
        delay = min(timedelta(seconds=2.0 ** min(copy.tries, 9)), _MAX_DELAY)
        with self._context.db.transaction() as tx:
            not_before = self._context.clock() + delay
            tx.approvals.copy_later(copy, not_before=not_before, give_up=give_up, posted=posted)
