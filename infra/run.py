"""What the command's verbs do with a whole installation."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from functions import catalog
from functions.import_file import check_file, store_file
from functions.model.people import Person, Role
from functions.model.training_file import TrainingFile
from infra.clock import utc_now
from infra.postgres.embedded import embedded_postgres
from infra.postgres.migrations import migrate
from infra.settings import Settings
from infra.slack_team import team_of
from infra.supervisor import embedded_run
from infra.token_counter import SubprocessTokenCounter
from infra.wiring import Parts, build_parts, tokenizer_source

Say = Callable[[str], None]


def stay_up(settings: Settings, say: Say) -> None:
    """Everything on this machine, until Ctrl-C or SIGTERM."""
    with embedded_run(settings) as (running, _):
        announce(running, say)
        wait_for_stop()
        say("Stopping.")


def announce(settings: Settings, say: Say) -> None:
    """Where to look."""
    if settings.uses_local_workspace:
        say(f"Bright Run is up. Open {settings.workspace_url}/?user=U0ELENA and type /train")
        say(f"A manager's view: {settings.workspace_url}/?user=U0MARCUS")
    else:
        say("Bright Run is up and connected to Slack. Type /train there.")
    say(f"Data and logs: {settings.data_dir}   Ctrl-C ends everything.")


def wait_for_stop() -> None:
    """Until SIGINT or SIGTERM."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The configured database, or the one in the data folder, started if it is not running."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with embedded_postgres(settings.data_dir / "postgres") as url:
        yield url


@contextmanager
def parts_of(settings: Settings) -> Iterator[Parts]:
    """The adapters, over a migrated database."""
    with database_url(settings) as url:
        migrate(url)
        parts = build_parts(settings.model_copy(update={"database_url": SecretStr(url)}))
        try:
            yield parts
        finally:
            parts.db.close()


def import_training_file(settings: Settings, path: Path) -> TrainingFile:
    """Check and store a file, for the team whose Slack is configured.

    Raises:
        TrainingFileInvalid: with every problem.
        InvalidInput: Slack refuses the token, so whose file it would be is not known.
        Unavailable: Slack cannot be reached.
    """
    # First of all: a file of the wrong team would be one that nobody sees.
    person = Person(team_id=team_of(settings), user_id="cli", role=Role.ADMIN)
    with parts_of(settings) as parts:
        checked = check_file(
            path,
            file_name=path.name,
            person=person,
            counter=SubprocessTokenCounter(lambda model: tokenizer_source(settings, parts.compute, model)),
            base_model=catalog.models_of(parts.compute.provider)[-1].hub_id,
            clock=utc_now,
        )
        return store_file(parts.db, parts.files, checked=checked, person=person, clock=utc_now)
