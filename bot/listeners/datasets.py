"""/datasets: training files, adding one, what its check found, the confirmation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks.datasets import (
    ACTION_ADD,
    ADD_CALLBACK,
    ADD_FILE_ACTION,
    CONFIRM_CALLBACK,
    add_form,
    added,
    file_list,
    import_report,
)
from blocks.home import ACTION_FILES
from blocks.units import file_size
from bot import messages
from bot.commands import DATASETS
from bot.context import BotContext
from bot.last_resort import told
from bot.modals import answer_in_modal
from bot.request import Origin, origin
from bot.waiting import WaitingView
from functions.access import require
from functions.errors import InvalidInput
from functions.file_options import find_files
from functions.import_file import CheckedFile, check_file, store_file
from functions.model.people import Permission
from functions.model.views import FileListView

TITLE = "Training files"
_LISTED = 20


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    datasets = Datasets(context)
    app.command(DATASETS)(datasets.list)
    app.action(ACTION_FILES)(datasets.list)
    app.action(ACTION_ADD)(datasets.add)
    app.view(ADD_CALLBACK)(datasets.check)
    app.view(CONFIRM_CALLBACK)(datasets.confirm)


class Datasets:
    """The listeners of /datasets. What takes longer than Slack's three seconds runs after the ack."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def list(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """`/datasets`, and "Training files" in App Home."""
        ack()

        def content(_: str) -> dict[str, Any]:
            asked = origin(body)
            person = asked.person(self._context)
            require(person, Permission.VIEW)
            with self._context.db.transaction() as tx:
                found = find_files(tx, team_id=asked.team_id, text="", limit=_LISTED)
            return file_list(FileListView(files=found, may_import=person.may(Permission.IMPORT_FILES)))

        answer_in_modal(self._context, body, client, title=TITLE, command=DATASETS, content=content)

    def add(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The button that adds a training file."""
        ack()

        def content(_: str) -> dict[str, Any]:
            require(origin(body).person(self._context), Permission.IMPORT_FILES)
            return add_form()

        answer_in_modal(self._context, body, client, title=TITLE, command=DATASETS, content=content)

    def check(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The file was chosen: read it and show what was found, to be confirmed."""
        file = _chosen(body)
        waiting = WaitingView(TITLE, messages.checking(file["name"]))
        ack(response_action="update", view=waiting.view)

        def found() -> dict[str, Any]:
            with self._checked(origin(body), file) as checked:
                return import_report(checked.report, metadata=json.dumps({"id": file["id"], "name": file["name"]}))

        self._finish(waiting, found, body, client)

    def confirm(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """Confirmed: read the file once more, so that nothing had to be kept in between, and store it."""
        waiting = WaitingView(TITLE, messages.adding())
        ack(response_action="update", view=waiting.view)
        kept = json.loads(body["view"]["private_metadata"])

        def stored() -> dict[str, Any]:
            asked = origin(body)
            file = client.files_info(file=kept["id"])["file"]
            with self._checked(asked, {**file, "name": kept["name"]}) as checked:
                return added(
                    store_file(
                        self._context.db,
                        self._context.files,
                        checked=checked,
                        person=asked.person(self._context),
                        clock=self._context.clock,
                    )
                )

        self._finish(waiting, stored, body, client)

    def _finish(
        self, waiting: WaitingView, work: Callable[[], dict[str, Any]], body: dict[str, Any], client: WebClient
    ) -> None:
        task = told(lambda: waiting.finish(work, body=body, client=client), body=body, client=client)
        self._context.later_slow(task)

    @contextmanager
    def _checked(self, asked: Origin, file: dict[str, Any]) -> Iterator[CheckedFile]:
        person = asked.person(self._context)
        require(person, Permission.IMPORT_FILES)
        if int(file.get("size", 0)) > self._context.max_file_bytes:
            raise InvalidInput(
                f"{file['name']} has {file_size(int(file['size']))}; at most "
                f"{file_size(self._context.max_file_bytes)} can be imported.",
                fix="Split it into several files of whole conversations.",
            )
        with tempfile.TemporaryDirectory(prefix="brightrun-") as folder:
            # The name is a person's text and may be anything; the path is ours.
            suffix = PurePosixPath(file["name"]).suffix
            path = Path(folder) / ("upload" + (suffix if suffix in (".json", ".jsonl") else ".json"))
            self._context.fetch(file["url_private_download"], path)
            yield check_file(
                path,
                file_name=file["name"],
                person=person,
                counter=self._context.counter,
                base_model=self._context.base_model(),
                clock=self._context.clock,
            )


def _chosen(body: dict[str, Any]) -> dict[str, Any]:
    """The file that was put into the form."""
    for elements in body["view"]["state"]["values"].values():
        if ADD_FILE_ACTION in elements:
            file: dict[str, Any] = elements[ADD_FILE_ACTION]["files"][0]
            return file
    raise InvalidInput("Choose a file first.")
