"""How a job's card and its milestones get into Slack: once, wherever the person can see them.

What is posted carries an id in its metadata. A call whose end nobody saw is looked up by it before it is made
again. A card that cannot be in its channel goes to the one who asked for the run, with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from blocks.budget_notices import team_notice
from blocks.card import job_card
from blocks.milestones import milestone
from blocks.text import is_user
from bot import messages
from bot.context import BotContext
from bot.marks import find_marked, mark
from bot.pictures import upload_picture
from bot.refusals import details_of, reason_of
from functions.model.job import Job
from functions.model.outbox import Card, Notice, OutboxMessage
from functions.model.views import CardView

log = logging.getLogger(__name__)

# Points of a picture; more are not seen.
_CURVE_POINTS = 600

_REASONS: dict[str, Callable[[str], str]] = {
    "not_in_channel": messages.not_in_channel,
    "channel_not_found": messages.not_in_channel,
    "is_archived": messages.channel_archived,
    "is_inactive": messages.channel_archived,
    "message_not_found": messages.card_deleted,
    "thread_not_found": messages.card_deleted,
}


@dataclass(frozen=True)
class Posted:
    """The message's ts, and where the job's card is now; None where it tells of no job."""

    ts: str
    card: Card | None


@dataclass(frozen=True)
class _Place:
    channel_id: str
    thread_ts: str | None = None


class Poster:
    """Posts and edits; knows nothing of queues."""

    def __init__(self, context: BotContext, client: WebClient) -> None:
        self._context = context
        self._client = client

    def send(self, message: OutboxMessage, view: CardView, card: Card | None) -> Posted:
        """Bring one message to Slack. Where the card's place is gone, the card moves first.

        Raises:
            SlackApiError: Slack refused, and it would refuse in a direct message as well.
        """
        try:
            return self._send(message, view, card)
        except SlackApiError as error:
            explain = _REASONS.get(reason_of(error))
            if explain is None:
                raise
            lost = card.channel_id if card else message.channel_id
            log.warning("job %s: no card in %s (%s); it goes to the requester", view.job.id, lost, reason_of(error))
            return self._send_directly(message, view, explain(lost))

    def say_set_aside(self, message: OutboxMessage, card: Card, reference: str) -> None:
        """Say below the card that a message is missing there.

        Raises:
            SlackApiError: Slack refused.
        """
        place = _Place(card.channel_id, card.ts)
        self._post_once(message, "set aside", place, messages.set_aside(message.notice.value, reference), [])

    def tell_team(self, message: OutboxMessage) -> Posted:
        """Bring a message that tells of no job to its channel, or to its person directly.

        Raises:
            SlackApiError: Slack refused.
        """
        place = message.channel_id
        if is_user(place):
            place = str(self._client.conversations_open(users=place)["channel"]["id"])
        text, blocks = team_notice(message.notice, message.data)
        return Posted(self._post_once(message, "team", _Place(place), text, blocks), None)

    def _send(self, message: OutboxMessage, view: CardView, card: Card | None) -> Posted:
        if card is None:
            card = self._post_card(message, view, message.channel_id)
        elif message.notice is Notice.CARD:
            text, blocks = job_card(view)
            self._with_blocks(self._client.chat_update, text, blocks, channel=card.channel_id, ts=card.ts)
        if message.notice is Notice.CARD:
            return Posted(card.ts, card)
        return Posted(self._post_milestone(message, view, card), card)

    def _send_directly(self, message: OutboxMessage, view: CardView, why: str) -> Posted:
        direct = str(self._client.conversations_open(users=view.job.created_by)["channel"]["id"])
        self._post_once(message, "why", _Place(direct), why, [])
        return self._send(message, view, self._post_card(message, view, direct))

    def _post_card(self, message: OutboxMessage, view: CardView, channel_id: str) -> Card:
        ts = self._post_once(message, "card", _Place(channel_id), *job_card(view))
        return Card(job_id=view.job.id, channel_id=channel_id, ts=ts)

    def _post_milestone(self, message: OutboxMessage, view: CardView, card: Card) -> str:
        place = _Place(card.channel_id, card.ts)
        found = self._already_posted(message, "milestone", place)
        if found is not None:
            return found
        text, blocks = milestone(message.notice, view, message.data, self._picture(message, view.job))
        return self._post(message, "milestone", place, text, blocks)

    def _post_once(
        self, message: OutboxMessage, part: str, place: _Place, text: str, blocks: list[dict[str, Any]]
    ) -> str:
        return self._already_posted(message, part, place) or self._post(message, part, place, text, blocks)

    def _post(self, message: OutboxMessage, part: str, place: _Place, text: str, blocks: list[dict[str, Any]]) -> str:
        answer = self._with_blocks(
            self._client.chat_postMessage,
            text,
            blocks,
            channel=place.channel_id,
            thread_ts=place.thread_ts,
            metadata=mark(f"{message.id}:{part}"),
        )
        return str(answer["ts"])

    def _with_blocks(self, call: Callable[..., Any], text: str, blocks: list[dict[str, Any]], **place: Any) -> Any:
        """Call Slack; where it refuses the blocks, the sentence alone still tells what matters."""
        try:
            return call(text=text, blocks=blocks, **place)
        except SlackApiError as error:
            if reason_of(error) != "invalid_blocks" or not blocks:
                raise
            detail = details_of(error)
            log.exception("Slack refused the blocks of %r, its text goes alone: %s", text, detail)
            return call(text=text, blocks=[], **place)

    def _already_posted(self, message: OutboxMessage, part: str, place: _Place) -> str | None:
        """The ts of this part if an earlier try, whose end nobody saw, did post it."""
        if message.sending_since is None:
            return None
        return find_marked(
            self._client,
            f"{message.id}:{part}",
            channel_id=place.channel_id,
            thread_ts=place.thread_ts,
            since=message.created_at,
        )

    def _picture(self, message: OutboxMessage, job: Job) -> str | None:
        """The id of the uploaded picture that goes with the notice, if one does."""
        if message.notice is Notice.HELD_OUT:
            with self._context.db.transaction() as tx:
                points = tx.jobs.points(job.id, _CURVE_POINTS)
            return self._upload(self._context.pictures.loss_curve(job, points), f"loss-step-{job.progress.step}.png")
        if message.notice is Notice.COMPLETED and job.progress.perplexity is not None:
            return self._upload(self._context.pictures.perplexity_bars(job), "perplexity.png")
        return None

    def _upload(self, png: bytes, name: str) -> str:
        return upload_picture(self._client, png, name)
