"""Roles at a start: of the people in the settings, of a Slack user group, of the local workspace.

A role that an admin gave in Slack goes before all of them.
"""

from __future__ import annotations

import logging

from functions.errors import BrightRunError
from functions.model.people import Role
from functions.ports import Database
from functions.roles import seed_managers
from infra.settings import LOCAL_TEAM, Settings
from infra.slack_team import members_of_managers_group, team_of
from infra.workspace.state import DEFAULT_USERS

log = logging.getLogger(__name__)

_LOCAL_ROLES = {"U0MARCUS": Role.MANAGER, "U0VIEWER": Role.VIEWER, "U0ADA": Role.ADMIN}


def seed_roles(db: Database, settings: Settings) -> None:
    """Give the people named in the settings their roles; in the local workspace, its people theirs.

    Where Slack does not say which team is meant by an entry without one, that is logged and the entry left out.
    """
    people = _named(settings)
    with db.transaction() as tx:
        if settings.uses_local_workspace:
            for user in DEFAULT_USERS:
                tx.people.seed_role(LOCAL_TEAM, user.id, _LOCAL_ROLES.get(user.id, Role.MEMBER))
        for team_id, user_id, role in people:
            tx.people.seed_role(team_id, user_id, role)


def _named(settings: Settings) -> list[tuple[str, str, Role]]:
    named = settings.named_people()
    homeless = [user for team, user, _ in named if not team]
    if not homeless:
        return named
    try:
        home = team_of(settings)
    except BrightRunError as error:
        log.error("no role from the settings for %s: %s", ", ".join(homeless), error)  # noqa: TRY400 - it says it all
        return [entry for entry in named if entry[0]]
    return [(team or home, user, role) for team, user, role in named]


def seed_managers_group(db: Database, settings: Settings) -> None:
    """Make the members of the configured Slack user group managers; asked at every start of the bot.

    Slack's refusal is logged and nothing is changed: who was a manager stays one.
    """
    if not settings.managers_group:
        return
    try:
        team_id, members = team_of(settings), members_of_managers_group(settings)
    except BrightRunError as error:
        log.error("user group %s could not be read: %s", settings.managers_group, error)  # noqa: TRY400
        return
    with db.transaction() as tx:
        seed_managers(tx, team_id=team_id, members=members)
    log.info("%s members of user group %s are managers", len(members), settings.managers_group)
