"""All settings, in one place. No settings at all means the embedded run: everything on this machine."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from functions.errors import InvalidInput
from functions.model.people import Role

LOCAL_TEAM = "T0BRIGHT"
LOCAL_BOT_TOKEN = "xoxb-local-workspace"  # noqa: S105 - of the local workspace, which anyone here may enter
LOCAL_APP_TOKEN = "xapp-local-workspace"  # noqa: S105
MIN_SECRET_LENGTH = 32


class DatabaseRole(StrEnum):
    """As whom a process reaches the database. Each but the owner has a group role of its own there."""

    OWNER = "owner"
    BOT = "bot"
    FUNCTIONS = "functions"
    INGEST = "ingest"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


# Several entries in one variable, separated by commas; not JSON, which pydantic-settings would ask for.
_Entries = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Read from the environment (`BRIGHTRUN_…`) and `.env`; documented line by line in `.env.example`."""

    # A blank variable is one that is not set: `.env` lists many to be filled in.
    model_config = SettingsConfigDict(
        env_prefix="BRIGHTRUN_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Path(".brightrun")
    host: str = "127.0.0.1"
    http_port: int = 8790
    workspace_port: int = 8791
    public_url: str = ""

    database_url: SecretStr | None = None
    bot_database_url: SecretStr | None = None
    functions_database_url: SecretStr | None = None
    ingest_database_url: SecretStr | None = None
    # It signs job tokens and download links: whoever guesses it may post events and read files.
    secret: Annotated[SecretStr, Field(min_length=MIN_SECRET_LENGTH)] | None = None

    supabase_url: str = ""
    supabase_service_key: SecretStr | None = None

    stripe_key: SecretStr | None = None
    stripe_webhook_secret: SecretStr | None = None
    stripe_api_url: str = ""

    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_api_url: str = "https://slack.com/api/"

    compute: Literal["local", "modal"] = "local"
    modal_app: str = "brightrun"
    modal_secret: str = "brightrun"  # noqa: S105 - the name of one
    modal_runs_volume: str = "brightrun-runs"
    modal_models_volume: str = "brightrun-models"
    modal_mount_root: str = "/vol"
    modal_service: bool = True
    modal_timeout_seconds: int = Field(default=86_400, ge=60, le=86_400)
    # The name that the hub's own tools use.
    hf_token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")

    max_running_jobs: int | None = Field(default=None, ge=1)
    max_waiting_jobs: int = Field(default=3, ge=1)
    reconcile_seconds: float = Field(default=1.0, gt=0)
    max_run_hours: float | None = Field(default=None, gt=0)

    monthly_budget_cents: int = Field(default=500_00, ge=0)
    default_role: Role = Role.MEMBER
    viewers: _Entries = ()
    managers: _Entries = ()
    admins: _Entries = ()
    managers_group: str = ""

    @property
    def uses_local_workspace(self) -> bool:
        """Whether people click in the local workspace, because no Slack is configured."""
        return self.slack_bot_token is None

    @property
    def running_limit(self) -> int:
        """How many jobs train at once: three where machines are rented (FR2.3.2), one where it is this one."""
        return self.max_running_jobs or (3 if self.compute == "modal" else 1)

    @property
    def service_url(self) -> str:
        """Where GPU jobs and download links reach the HTTP app."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.http_port}"

    @property
    def uses_supabase_storage(self) -> bool:
        """Whether files live in Supabase Storage."""
        return bool(self.supabase_url)

    def named_people(self) -> list[tuple[str, str, Role]]:
        """(team, user, role) of everybody who is named, the lowest role first.

        The team is "" where it is left out: then the installation's own is meant.
        """
        named = ((self.viewers, Role.VIEWER), (self.managers, Role.MANAGER), (self.admins, Role.ADMIN))
        split = ((*entry.rpartition(":"), role) for entries, role in named for entry in entries)
        return [(team, user, role) for team, _, user, role in split]

    def database_url_of(self, role: DatabaseRole) -> SecretStr | None:
        """The database as one of the processes reaches it: by its own login, where there is one."""
        own = {
            DatabaseRole.OWNER: None,
            DatabaseRole.BOT: self.bot_database_url,
            DatabaseRole.FUNCTIONS: self.functions_database_url,
            DatabaseRole.INGEST: self.ingest_database_url,
        }
        return own[role] or self.database_url

    @property
    def workspace_url(self) -> str:
        """The address of the local workspace."""
        return f"http://{self.host}:{self.workspace_port}"

    def secret_value(self) -> str:
        """The key behind links and job tokens: configured, or made once and kept in the data folder."""
        if self.secret is not None:
            return self.secret.get_secret_value()
        return kept_secret(self.data_dir / "secret")

    def signing_secret_value(self) -> str:
        """Slack's signing secret, or the local workspace's own."""
        if self.slack_signing_secret is not None:
            return self.slack_signing_secret.get_secret_value()
        return kept_secret(self.data_dir / "signing-secret")


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        InvalidInput: some cannot be used. Each is named with what is wrong with it; a secret is not quoted.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = " ".join(_problem(detail) for detail in error.errors(include_url=False))
        raise InvalidInput(problems, fix="Change it in .env or the environment; .env.example explains it.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The settings in .env cannot be read: {error}.", fix="Mend that file.") from error


def _problem(detail: ErrorDetails) -> str:
    """What is wrong with one variable, as a sentence."""
    name = str(detail["loc"][0])
    variable = f"BRIGHTRUN_{name.upper()}"
    if name == "secret":
        return (
            f"{variable} is shorter than {MIN_SECRET_LENGTH} characters, so it could be guessed:"
            " `openssl rand -hex 32` prints a good one."
        )
    wanted = detail["msg"].removeprefix("Input should be ").partition(", unable to")[0]
    if "SecretStr" in str(Settings.model_fields[name].annotation):
        return f"{variable} has to be {wanted}."
    return f"{variable} is {str(detail['input'])!r} and has to be {wanted}."


def kept_secret(path: Path) -> str:
    """The secret in a file that only the owner reads; made at the first call.

    Raises:
        InvalidInput: the file is empty: to sign with nothing would let everybody sign.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _keep(path, secrets.token_hex(32))
    secret = path.read_text("utf-8").strip()
    if not secret:
        raise InvalidInput(
            "The file of a secret is empty.", where=str(path), fix="Remove it: the next start makes one."
        )
    return secret


def _keep(path: Path, secret: str) -> None:
    """Whole or not at all, and only the first: several processes start at once, and none may read half of it."""
    # Readable by its owner alone from the first moment on.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as stream:
        stream.write(secret)
    with suppress(FileExistsError):
        os.link(name, path)
    Path(name).unlink()
