"""Who is asking: a person of a Slack team, and what their role lets them do."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Role(StrEnum):
    """Roles, each including what stands before it."""

    VIEWER = "viewer"
    MEMBER = "member"
    MANAGER = "manager"
    ADMIN = "admin"


class Permission(StrEnum):
    """What is checked, on the click and again on the submit."""

    VIEW = "view"
    IMPORT_FILES = "import_files"
    START_JOBS = "start_jobs"
    STOP_JOBS = "stop_jobs"
    PROMOTE_JOBS = "promote_jobs"
    DOWNLOAD = "download"
    MANAGE_BUDGET = "manage_budget"
    READ_AUDIT = "read_audit"
    MANAGE_ROLES = "manage_roles"


_BY_ROLE: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.MEMBER: frozenset(
        {
            Permission.VIEW,
            Permission.IMPORT_FILES,
            Permission.START_JOBS,
            Permission.STOP_JOBS,
            Permission.DOWNLOAD,
        }
    ),
    Role.MANAGER: frozenset(Permission) - {Permission.MANAGE_ROLES},
    Role.ADMIN: frozenset(Permission),
}


class Person(BaseModel):
    """A person: team and user id together are the key; the role comes from the `people` table."""

    model_config = ConfigDict(frozen=True)

    team_id: str
    user_id: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Whether the person's role includes the permission."""
        return permission in _BY_ROLE[self.role]
