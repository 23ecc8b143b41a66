"""Puts the adapters together from the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from slack_bolt import App
from slack_sdk import WebClient

from bot.app import create_app
from bot.context import BotContext
from functions.errors import InvalidInput, Unavailable
from functions.model.views import QueueLimits
from functions.ports import Compute, Files, Payments, TokenCounter
from functions.reconcile import Reconciler
from functions.training_files import MAX_BYTES
from infra.clock import utc_now
from infra.local_compute import LocalCompute
from infra.local_files import LocalFiles
from infra.pictures import FigurePictures
from infra.postgres.database import PostgresDatabase
from infra.settings import LOCAL_BOT_TOKEN, DatabaseRole, Settings
from infra.token_counter import SubprocessTokenCounter
from infra.tokenizers import LocalTokenizers, Tokenizers

if TYPE_CHECKING:
    from infra.stripe_payments import StripePayments
    from infra.supabase_files import SupabaseFiles

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The installation, as the settings describe it."""

    settings: Settings
    db: PostgresDatabase
    files: Files
    compute: Compute
    payments: Payments | None = None

    def reconciler(self) -> Reconciler:
        """The loop's step."""
        return Reconciler(
            self.db,
            self.files,
            self.compute,
            clock=utc_now,
            secret=self.settings.secret_value(),
            service_url=self.settings.service_url,
            max_running=self.settings.running_limit,
            time_limit=timedelta(hours=hours) if (hours := self.settings.max_run_hours) else None,
        )

    def tokenizers(self) -> Tokenizers:
        """What can be counted with."""
        return build_tokenizers(self.settings, self.compute)

    def counter(self) -> TokenCounter:
        """Counts a training file's tokens."""
        token = self.settings.hf_token
        return SubprocessTokenCounter(self.tokenizers().source, token=token.get_secret_value() if token else "")

    def context(self) -> BotContext:
        """What the bot's listeners are handed."""
        return BotContext(
            db=self.db,
            files=self.files,
            clock=utc_now,
            pictures=FigurePictures(),
            counter=self.counter(),
            provider=self.compute.provider,
            base_model=self.tokenizers().largest,
            default_role=self.settings.default_role,
            fetch=slack_fetch(bot_token(self.settings)),
            max_file_bytes=MAX_BYTES,
            limits=QueueLimits(running=self.settings.running_limit, waiting=self.settings.max_waiting_jobs),
            payments=self.payments,
        )

    def slack_app(self) -> App:
        """The Bolt app; its construction asks Slack who it is."""
        return create_app(
            self.context(), client=slack_client(self.settings), signing_secret=self.settings.signing_secret_value()
        )


def build_parts(settings: Settings, role: DatabaseRole = DatabaseRole.OWNER) -> Parts:
    """The adapters that the settings ask for; the database by the login of one role, where it has one.

    Raises:
        InvalidInput: no database is configured, or a setting lacks its other half.
    """
    database_url = settings.database_url_of(role)
    if database_url is None:
        raise InvalidInput(
            "No database is configured.", fix="Set BRIGHTRUN_DATABASE_URL, or use `brightrun up`, which brings one."
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    files = build_files(settings)
    db = PostgresDatabase(database_url.get_secret_value(), default_limit_cents=settings.monthly_budget_cents)
    return Parts(
        settings=settings,
        db=db,
        files=files,
        compute=build_compute(settings),
        payments=build_payments(settings),
    )


def build_compute(settings: Settings) -> Compute:
    """Where GPU jobs run: on this machine, or at Modal."""
    if settings.compute == "modal":
        # Imported where it is used: a run without Modal starts faster without its SDK.
        from infra.modal.compute import ModalCompute
        from infra.modal.names import Names

        return ModalCompute(Names.of(settings))
    return LocalCompute(settings.data_dir)


def build_tokenizers(settings: Settings, compute: Compute) -> Tokenizers:
    """The tokenizers of the base models that can be trained."""
    if settings.compute == "modal":
        from infra.modal.compute import ModalCompute
        from infra.modal.names import Names
        from infra.modal.tokenizers import ModalTokenizers

        if isinstance(compute, ModalCompute):
            return ModalTokenizers(compute, Names.of(settings), models_dir=settings.data_dir / "models")
    return LocalTokenizers(compute)


def build_payments(settings: Settings) -> StripePayments | None:
    """Stripe, where there is a key.

    Raises:
        InvalidInput: the key is none.
    """
    if settings.stripe_key is None:
        return None
    # Imported here: it takes a while, which a run without it should not wait for.
    from infra.stripe_payments import StripePayments

    secret = settings.stripe_webhook_secret
    return StripePayments(
        settings.stripe_key.get_secret_value(),
        webhook_secret=secret.get_secret_value() if secret else "",
        service_url=settings.service_url,
        api_url=settings.stripe_api_url,
    )


def build_files(settings: Settings) -> Files:
    """Supabase Storage where it is configured, else a folder.

    Raises:
        InvalidInput: there is an address and no key, or the address is none.
    """
    if not settings.uses_supabase_storage:
        return LocalFiles(
            (settings.data_dir / "files").resolve(),
            secret=settings.secret_value(),
            base_url=settings.service_url,
            clock=utc_now,
        )
    return supabase_files(settings)


def supabase_files(settings: Settings) -> SupabaseFiles:
    """Supabase Storage as it is configured.

    Raises:
        InvalidInput: there is an address and no key, or the address is none.
    """
    if settings.supabase_service_key is None:
        raise InvalidInput(
            "Supabase Storage has an address and no key.", fix="Set BRIGHTRUN_SUPABASE_SERVICE_KEY as well."
        )
    if not settings.supabase_url.startswith(("https://", "http://")):
        raise InvalidInput(
            "BRIGHTRUN_SUPABASE_URL is not an address.", fix="It looks like https://abcdefgh.supabase.co."
        )
    # Imported here: it takes half a second, which a run without it should not wait for.
    from infra.supabase_files import SupabaseFiles

    return SupabaseFiles(settings.supabase_url, settings.supabase_service_key.get_secret_value())


def bot_token(settings: Settings) -> str:
    """The bot's token: Slack's, or the local workspace's."""
    return settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else LOCAL_BOT_TOKEN


def slack_client(settings: Settings, *, retries: bool = True) -> WebClient:
    """A Web API client. `retries=False` for the outbox: a cut-off call may have posted already."""
    url = f"{settings.workspace_url}/api/" if settings.uses_local_workspace else settings.slack_api_url
    return WebClient(token=bot_token(settings), base_url=url, timeout=20, retry_handlers=None if retries else [])


def slack_fetch(token: str) -> Callable[[str, Path], None]:
    """Saves a Slack file by its private URL, at most as large as a training file may be."""

    def fetch(url: str, target: Path) -> None:
        try:
            with (
                httpx.stream("GET", url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as answer,
                target.open("wb") as stream,
            ):
                answer.raise_for_status()
                size = 0
                for part in answer.iter_bytes():
                    size += len(part)
                    if size > MAX_BYTES:
                        raise InvalidInput(
                            f"The file is larger than {MAX_BYTES >> 20} MB.", fix="Split it into smaller files."
                        )
                    stream.write(part)
        except httpx.HTTPError as error:
            raise Unavailable("Slack did not hand over the file.", fix="Upload it again.") from error

    return fetch
