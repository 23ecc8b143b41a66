"""Whom the team's money is told, and the messages that tell of it."""

from __future__ import annotations

from datetime import datetime

from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.ports import Transaction

NoticeData = dict[str, float | int | str | None]


def recipients(tx: Transaction, *, team_id: str) -> tuple[str, ...]:
    """Who is told: the people named in the rules, else every manager and admin."""
    named = tx.ledger.rules(team_id).recipients
    if named:
        return named
    roles = tx.people.roles(team_id)
    people = (Person(team_id=team_id, user_id=user_id, role=role) for user_id, role in roles.items())
    return tuple(person.user_id for person in people if person.may(Permission.MANAGE_BUDGET))


def tell_team(
    tx: Transaction,
    *,
    team_id: str,
    notice: Notice,
    key: str,
    data: NoticeData,
    now: datetime,
    people: bool = True,
    channel_id: str | None = None,
) -> None:
    """Queue the message to each recipient and to the budget's channel; the same key there changes nothing.

    Args:
        tx: the transaction that changed what is told.
        team_id: the team.
        notice: what it is about.
        key: the same for the same news.
        data: what the message says.
        now: the moment.
        people: whether the recipients are told, too.
        channel_id: another channel than that of the rules; "" for none.
    """
    place = tx.ledger.rules(team_id).channel_id if channel_id is None else channel_id
    places = [*(recipients(tx, team_id=team_id) if people else ()), *([place] if place else [])]
    for where in places:
        tx.outbox.put_team(team_id=team_id, channel_id=where, notice=notice, key=key, at=now, data=data)
