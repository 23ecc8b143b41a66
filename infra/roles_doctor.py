"""What `brightrun doctor` finds of roles: whether anybody can decide requests and give roles."""

from __future__ import annotations

from subprocess import SubprocessError
from typing import NamedTuple

import psycopg

from functions.errors import BrightRunError
from functions.model.people import Role
from functions.words import counted
from infra.postgres.connecting import connect
from infra.postgres.inspection import Verdict
from infra.run import database_url
from infra.settings import Settings
from infra.slack_team import members_of_managers_group, team_of

_DECIDE = (Role.MANAGER, Role.ADMIN)


class _Stored(NamedTuple):
    """Roles of the `people` table: from the settings at an earlier start, and given by an admin in Slack."""

    seeded: dict[str, Role]
    given: dict[str, Role]


def examine_roles(settings: Settings) -> Verdict:
    """Whether somebody is admin or manager: by the settings, the user group or the `people` table."""
    if settings.uses_local_workspace:
        return Verdict("local workspace", "its people have roles; BRIGHTRUN_ADMINS names the admins of a real Slack")
    try:
        team_id = team_of(settings)
    except BrightRunError:
        return Verdict("not looked at", "Slack does not say which team this is")
    try:
        group = dict.fromkeys(members_of_managers_group(settings), Role.MANAGER)
    except BrightRunError as error:
        return Verdict("broken", f"BRIGHTRUN_MANAGERS_GROUP={settings.managers_group}: {error}", broken=True)
    return _verdict(settings, team_id, group)


def _verdict(settings: Settings, team_id: str, group: dict[str, Role]) -> Verdict:
    try:
        stored = _stored(settings, team_id)
    except (BrightRunError, psycopg.Error, SubprocessError, OSError):
        # What is wrong with it stands in the database's own line.
        stored = None
    found = group | _named(settings, team_id)
    if stored is not None:
        found = stored.seeded | found | stored.given
    count = {role: sum(1 for had in found.values() if had is role) for role in _DECIDE}
    words = f"{counted(count[Role.ADMIN], 'admin')}, {counted(count[Role.MANAGER], 'manager')}"
    if settings.default_role in _DECIDE:
        return Verdict("ok", f"{words}; everybody else is {settings.default_role.value} (BRIGHTRUN_DEFAULT_ROLE)")
    to_do = "Set BRIGHTRUN_ADMINS to your member ID (U…, in your Slack profile)"
    if count[Role.ADMIN]:
        alone = sum(count.values()) == 1
        return Verdict("ok", words + ("; nobody decides their own request, so name a second person" if alone else ""))
    if stored is None:
        return Verdict("not looked at", f"the database does not answer, and the settings name no admin. {to_do}")
    if count[Role.MANAGER]:
        return Verdict("no admin", f"{words}: nobody can give roles. {to_do}")
    detail = f"nobody is admin or manager: requests reach nobody, and nobody can give roles. {to_do}"
    return Verdict("broken", f"{detail}{_elsewhere(settings, team_id)}", broken=True)


def _named(settings: Settings, team_id: str) -> dict[str, Role]:
    """Roles of this team's people by the settings; the highest counts."""
    return {user: role for team, user, role in settings.named_people() if team in ("", team_id)}


def _elsewhere(settings: Settings, team_id: str) -> str:
    others = [f"{team}:{user}" for team, user, _ in settings.named_people() if team not in ("", team_id)]
    return f" ({', '.join(others)}: of another team)" if others else ""


def _stored(settings: Settings, team_id: str) -> _Stored:
    """Who has a role in the database.

    Raises:
        BrightRunError, psycopg.Error, SubprocessError, OSError: the database cannot be asked.
    """
    if settings.database_url is None and not (settings.data_dir / "postgres").exists():
        return _Stored({}, {})
    query = "select user_id, role, set_by from people where team_id = %s"
    with (
        database_url(settings) as url,
        connect(url, seconds=5) as connection,
    ):
        rows = connection.execute(query, (team_id,)).fetchall()
    return _Stored(
        {user: Role(role) for user, role, by in rows if not by}, {user: Role(role) for user, role, by in rows if by}
    )
