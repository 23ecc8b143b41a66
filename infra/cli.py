"""The `brightrun` command."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from functions.errors import BrightRunError, TrainingFileInvalid
from infra.settings import read_settings

TrainingFileArgument = Annotated[Path, typer.Argument(help="A training file: v4 JSON, v5 JSONL or JSONL of turns.")]


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(error: BrightRunError) -> typer.Exit:
    sys.stderr.write(f"brightrun: {error}\n")
    if isinstance(error, TrainingFileInvalid):
        for problem in error.problems:
            sys.stderr.write(f"  - {problem}\n")
    return typer.Exit(1)


class _Commands(TyperGroup):
    """Ends a command with a sentence, not with a traceback, where a person can do something about it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrightRunError as error:
            raise _fail(error) from error


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, help="Fine-tune language models from Slack."
)


@app.callback()
def _logging(verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


@app.command()
def up() -> None:
    """Start everything on this machine and stay up until Ctrl-C."""
    from infra.run import stay_up

    stay_up(read_settings(), _say)


@app.command()
def demo(
    headless: Annotated[bool, typer.Option(help="End when the job is delivered.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what came out to this file.")] = None,
    file: Annotated[Path | None, typer.Option(help="Train on this file, not the demo's own.")] = None,
    preset: Annotated[str, typer.Option(help="conservative, balanced or aggressive.")] = "",
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many optimizer steps.")] = None,
) -> None:
    """Start everything and play the main job as people would: pick, review, start, watch, download."""
    from infra.demo.run import DemoOptions, run_demo

    options = DemoOptions(headless=headless, json_file=json_file, file=file, preset=preset, max_steps=max_steps)
    finished = run_demo(read_settings(), options, _say)
    if not finished:
        raise typer.Exit(1)


@app.command()
def check(
    training_file: TrainingFileArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Check a training file. Ends with 0 only where a job could be started from it."""
    from infra.check import check_training_file

    result = check_training_file(training_file, read_settings())
    _say(json.dumps(result.as_json(), indent=2, ensure_ascii=False) if as_json else result.as_text())
    if not result.startable:
        raise typer.Exit(1)


@app.command("import")
def import_(training_file: TrainingFileArgument) -> None:
    """Add a training file to the running installation, or to the one in the data folder."""
    from infra.run import import_training_file

    file = import_training_file(read_settings(), training_file)
    _say(f"{file.name}: {file.stats.conversations} conversations, {file.stats.training_pairs} training pairs. Added.")


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from infra.postgres.migrations import migrate as apply
    from infra.run import database_url

    with database_url(read_settings()) as url:
        applied = apply(url)
    _say("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="Where the backup goes.")]) -> None:
    """Write everything that the database holds into a file."""
    from infra.postgres.backup import backup as write
    from infra.run import database_url

    with database_url(read_settings()) as url:
        facts = write(url, file)
    _say(f"{file}: {facts}, {facts.bytes / 1e6:.1f} MB. It holds no training files and no adapters.")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A backup.")]) -> None:
    """Fill a fresh database from a backup."""
    from infra.postgres.backup import restore as fill
    from infra.run import database_url

    with database_url(read_settings()) as url:
        facts = fill(url, file)
    _say(f"Restored: {facts}. The database is up to date.")


@app.command()
def bill(days: Annotated[int, typer.Option(min=1, max=90, help="So many whole days, up to today.")] = 30) -> None:
    """Compare what jobs were charged with what Modal bills; ends with 1 where the two differ."""
    from infra.bill import compare

    agrees, text = compare(read_settings(), days=days)
    _say(text)
    if not agrees:
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Say what is configured, what is missing, and what each missing thing would enable."""
    from infra.doctor import examine, render

    findings = examine(read_settings())
    _say(render(findings))
    if any(finding.broken for finding in findings):
        raise typer.Exit(1)


@app.command(hidden=True)
def serve(name: str) -> None:
    """Run one process of the installation: workspace, http, bot or reconcile."""
    from infra.processes import PROCESSES

    logging.getLogger().setLevel(logging.INFO)
    PROCESSES[name](read_settings())


if __name__ == "__main__":
    app()
