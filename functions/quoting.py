"""The quote: an estimate with all that stands behind it, as a document that can be handed on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from functions.access import require
from functions.configure import review
from functions.deliver import file_stem
from functions.errors import NotFound
from functions.model.people import Permission, Person
from functions.model.views import QuoteView
from functions.ports import Clock, Database, Files, Pictures

# Prices and the team's history move; a week is long enough to decide.
VALIDITY = timedelta(days=7)


class QuoteFile(NamedTuple):
    """A quote as it is sent: what the file is called, and its bytes."""

    name: str
    pdf: bytes


def quote_view(
    db: Database, files: Files, *, clock: Clock, provider: str, person: Person, person_name: str, request_key: str
) -> QuoteView:
    """What the quote of a form says that was reviewed and not started yet.

    Raises:
        NotAllowed: the person may not start jobs.
        NotFound: nothing was chosen under this key, or the training file is gone.
        InvalidInput, NotEligible: it could not be started any more.
    """
    require(person, Permission.START_JOBS)
    now = clock()
    with db.transaction() as tx:
        choice = tx.jobs.draft(person.team_id, request_key)
        if choice is None:
            raise NotFound("This form is too old.", fix="Open /train again.")
        shown = review(tx, files, team_id=person.team_id, choice=choice, provider=provider, now=now)
    return QuoteView(
        review=shown,
        asked_by=person_name or person.user_id,
        reference=_reference(request_key, now),
        made_at=now,
        valid_until=now + VALIDITY,
    )


def draw_quote(db: Database, pictures: Pictures, *, person: Person, quote: QuoteView) -> QuoteFile:
    """The quote as a PDF; that it was handed out is written down.

    Raises:
        Unavailable: this machine cannot draw documents.
    """
    name = f"{file_stem(quote.review.choice.name)}-estimate.pdf"
    pdf = pictures.quote(quote)
    estimate = quote.review.estimate
    with db.transaction() as tx:
        tx.audit.append(
            team_id=person.team_id,
            at=quote.made_at,
            actor=person.user_id,
            action="estimate.download",
            target=quote.reference,
            detail={"name": name, "cents_low": estimate.cents_low, "cents_high": estimate.cents_high},
        )
    return QuoteFile(name=name, pdf=pdf)


def _reference(request_key: str, now: datetime) -> str:
    """By which people find the quote again in the audit log: the form's key and the minute."""
    return f"{request_key[:8].upper()}-{now:%y%m%d%H%M}"
