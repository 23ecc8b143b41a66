"""Changing a team's budget: its limit, its period, its grace, and who is told."""

from __future__ import annotations

from functions.access import require
from functions.budget import budget_status
from functions.budget_notices import tell_team
from functions.budget_watch import notice_data, watch_budget
from functions.errors import InvalidInput
from functions.forecast import forecast
from functions.model.budget import LimitChange
from functions.model.money import BudgetRules
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.ports import Clock, Database, Transaction

REASON_MIN, REASON_MAX = 10, 1000
LIMIT_MAX_CENTS = 10_000_000_00
GRACE_MAX = 100
RECIPIENTS_MAX = 20


def change_budget(
    db: Database, *, clock: Clock, person: Person, rules: BudgetRules, reason: str, channel_id: str = ""
) -> tuple[str, ...]:
    """Put new rules in force; returns what changed. Nothing is written where nothing did.

    Each change stands in the audit log. A new limit is told to the recipients and in the budget's channel, or in
    `channel_id` where the budget has none.

    Raises:
        NotAllowed: the person may not change the budget.
        InvalidInput: a value is out of bounds, or a new limit has no reason; `field` names it.
    """
    require(person, Permission.MANAGE_BUDGET)
    _check(rules)
    with db.transaction() as tx:
        tx.ledger.lock_limit(person.team_id)
        before = tx.ledger.rules(person.team_id)
        changed = {name: _shown(before, name) for name in _NAMES if getattr(before, name) != getattr(rules, name)}
        if not changed:
            return ()
        now, reason = clock(), reason.strip()
        if rules.limit_cents != before.limit_cents:
            _check_reason(reason)
        tx.ledger.set_rules(person.team_id, rules)
        for name, old in changed.items():
            tx.audit.append(
                team_id=person.team_id,
                at=now,
                actor=person.user_id,
                action=f"budget.{_NAMES[name]}_changed",
                target=person.team_id,
                detail={_key(name, "from"): old, _key(name, "to"): _shown(rules, name), "why": reason},
            )
        if rules.limit_cents != before.limit_cents:
            change = LimitChange(
                at=now,
                before_cents=before.limit_cents,
                limit_cents=rules.limit_cents,
                changed_by=person.user_id,
                reason=reason,
            )
            apply_limit_change(tx, team_id=person.team_id, change=change, channel_id=channel_id)
        return tuple(changed)


def apply_limit_change(tx: Transaction, *, team_id: str, change: LimitChange, channel_id: str = "") -> None:
    """Keep a change of the limit, which is in force already, and tell of it. `channel_id`: where no channel is set."""
    tx.ledger.add_limit_change(team_id, change)
    now = change.at
    status = budget_status(tx, team_id=team_id, now=now)
    data = {
        **notice_data(status, forecast(tx, team_id=team_id, now=now)),
        "by": change.changed_by,
        "before_cents": change.before_cents,
        "after_cents": change.limit_cents,
        "why": change.reason,
    }
    place = tx.ledger.rules(team_id).channel_id or channel_id
    key = f"{now.timestamp()}"
    tell_team(tx, team_id=team_id, notice=Notice.BUDGET_CHANGED, key=key, data=data, now=now, channel_id=place)
    watch_budget(tx, team_id=team_id, now=now)


# Fields of the rules, and what the audit log calls them.
_NAMES = {
    "limit_cents": "limit",
    "period": "period",
    "grace_percent": "grace",
    "hard_stop": "hard_stop",
    "recipients": "recipients",
    "channel_id": "channel",
    "daily_digest": "digest",
}


def _key(name: str, word: str) -> str:
    return f"{word}_cents" if name.endswith("_cents") else word


def _shown(rules: BudgetRules, name: str) -> str | int:
    value = getattr(rules, name)
    if isinstance(value, tuple):
        return ", ".join(value)
    return int(value) if isinstance(value, int) else str(value)


def _check(rules: BudgetRules) -> None:
    if not 0 <= rules.limit_cents <= LIMIT_MAX_CENTS:
        raise InvalidInput(f"Between $0 and ${LIMIT_MAX_CENTS // 100:,}.", field="limit")
    if not 0 <= rules.grace_percent <= GRACE_MAX:
        raise InvalidInput(f"Between 0 and {GRACE_MAX} percent.", field="grace")
    if len(rules.recipients) > RECIPIENTS_MAX:
        raise InvalidInput(f"At most {RECIPIENTS_MAX} people.", field="recipients")


def _check_reason(reason: str) -> None:
    if len(reason) < REASON_MIN:
        raise InvalidInput(
            f"A new limit needs a reason of at least {REASON_MIN} characters; it stands in the audit log.",
            field="reason",
        )
    if len(reason) > REASON_MAX:
        raise InvalidInput(f"At most {REASON_MAX} characters; this has {len(reason)}.", field="reason")
