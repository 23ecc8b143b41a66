"""The main job, step by step, through the workspace as a person at the page would do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from blocks.card import ACTION_DOWNLOAD
from blocks.datasets import ACTION_ADD, ADD_CALLBACK, ADD_FILE_ACTION, CONFIRM_CALLBACK, LIST_CALLBACK
from blocks.review import CHECKLIST_ACTION, REVIEW_CALLBACK
from blocks.train_form import ACTION_FILE, ACTION_PRESET, ACTION_STEPS, TRAIN_CALLBACK
from functions.errors import BrightRunError
from infra.workspace.client import Person, PersonError, WorkspaceClient

CHANNEL = "C0TRAINING"
ENGINEER = "U0ELENA"
# Long enough for a reader at the page to follow, short enough not to wait for.
_PAUSE_SECONDS = 1.2
_CHECK_SECONDS = 180.0


class DemoFailed(BrightRunError):
    """A step of the demo did not come out as it should."""


@dataclass(frozen=True)
class Played:
    """What the play ended with: the zip and the link that it came by."""

    adapters_zip: Path
    download_url: str


class Play:
    """One engineer at the page. `say` tells the terminal what happens."""

    def __init__(self, workspace_url: str, say: Callable[[str], None], *, hurry: bool) -> None:
        self._client = WorkspaceClient(workspace_url)
        self._elena: Person = self._client.as_user(ENGINEER)
        self._say = say
        self._pause = 0.0 if hurry else _PAUSE_SECONDS

    def add_training_file(self, path: Path) -> None:
        """/datasets → Add → the file → checked → confirmed."""
        self._say(f"/datasets: adding {path.name}")
        self._type("/datasets")
        listed = self._view(LIST_CALLBACK)
        self._elena.click(listed, ACTION_ADD)
        form = self._view(ADD_CALLBACK)
        upload = self._elena.upload(path.name, path.read_bytes())
        self._breathe()
        self._submit(form, {ADD_FILE_ACTION: [upload]})
        report = self._view(CONFIRM_CALLBACK, _CHECK_SECONDS)
        self._breathe()
        self._submit(report, {})
        self._elena.wait_view(LIST_CALLBACK, _CHECK_SECONDS)
        self._breathe()
        self._elena.close(self._elena.views()[-1], whole_stack=True)

    def start(self, *, file_id: str, file_name: str, preset: str, max_steps: int | None) -> None:
        """/train → file, preset, length → review → the three ticks → start."""
        self._say(f"/train: {file_name}")
        self._type("/train")
        form = self._view(TRAIN_CALLBACK)
        offered = self._elena.options(form, ACTION_FILE, file_name)
        form = self._choose(form, {ACTION_FILE: next(option for option in offered if option["value"] == file_id)})
        if preset:
            form = self._choose(form, {ACTION_PRESET: preset})
        if max_steps is not None:
            form = self._choose(form, {ACTION_STEPS: str(max_steps)})
        self._submit(form, {})
        review = self._view(REVIEW_CALLBACK)
        self._breathe()
        ticked = [option["value"] for option in _checkboxes(review)]
        self._submit(review, {CHECKLIST_ACTION: ticked})
        self._breathe()
        for view in self._elena.views()[-1:]:
            self._elena.close(view, whole_stack=True)

    def download(self, folder: Path) -> Played:
        """Press the card's download button and follow the link."""
        card = self._elena.wait_message(CHANNEL, lambda message: _has_action(message, ACTION_DOWNLOAD), 60)
        self._elena.click(card, ACTION_DOWNLOAD)
        link = self._elena.wait_message(CHANNEL, lambda message: bool(_link(message)), 20)
        url = _link(link)
        name = httpx.URL(url).params.get("name", "adapters.zip")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / Path(name).name
        with httpx.stream("GET", url, timeout=120, trust_env=False) as answer, target.open("wb") as stream:
            answer.raise_for_status()
            for part in answer.iter_bytes():
                stream.write(part)
        self._say(f"Downloaded {target.name}, {target.stat().st_size / 1e6:.1f} MB")
        return Played(adapters_zip=target, download_url=url)

    def _type(self, command: str) -> None:
        answer = self._elena.command(CHANNEL, command)
        if not answer["ok"]:
            raise DemoFailed(f"{command} failed: {answer.get('error')}")

    def _view(self, callback_id: str, patience: float = 10.0) -> dict[str, Any]:
        try:
            return self._elena.wait_view(callback_id, patience)
        except PersonError as error:
            raise DemoFailed(str(error)) from error

    def _choose(self, form: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Fill in, and go on when the form is drawn anew: what is chosen before that is lost with the old fields."""
        self._elena.fill(form, values)
        try:
            drawn = self._elena.wait_view(TRAIN_CALLBACK, 10.0, when=lambda view: bool(view["hash"] != form["hash"]))
        except PersonError as error:
            raise DemoFailed(f"the form was not drawn anew after {', '.join(values)} was chosen") from error
        self._breathe()
        return drawn

    def _submit(self, view: dict[str, Any], values: dict[str, Any]) -> None:
        answer = self._elena.submit(view, values)
        if not answer["ok"]:
            raise DemoFailed(f"{view['callback_id']} was refused: {answer.get('errors') or answer.get('error')}")

    def _breathe(self) -> None:
        time.sleep(self._pause)


def _elements(place: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for block in place.get("blocks", []):
        found += block.get("elements", []) if block["type"] == "actions" else []
        found += [block[key] for key in ("accessory", "element") if key in block]
    return found


def _has_action(message: dict[str, Any], action_id: str) -> bool:
    return any(element.get("action_id") == action_id for element in _elements(message))


def _link(message: dict[str, Any]) -> str:
    return next((e["url"] for e in reversed(_elements(message)) if "/files/model-artifacts/" in e.get("url", "")), "")


def _checkboxes(view: dict[str, Any]) -> list[dict[str, Any]]:
    return next(element["options"] for element in _elements(view) if element["type"] == "checkboxes")
