"""Files: the bot's external-upload flow, the page's uploads, and the bytes behind them."""

from __future__ import annotations

import mimetypes
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.workspace.elements import with_ids
from infra.workspace.limits import message_problems
from infra.workspace.state import BOT_USER_ID, Json, SlackError, Workspace, random_id


class FileStore:
    """File records by id, and their bytes in a folder (or in memory where there is none)."""

    def __init__(self, workspace: Workspace, folder: Path | None, bot_message: Callable[[Json], Json]) -> None:
        self._workspace = workspace
        self._folder = folder
        self._bot_message = bot_message
        self._memory: dict[str, bytes] = {}
        self.records: dict[str, Json] = {}
        self.methods: dict[str, Callable[[Json], Json]] = {
            "files.getUploadURLExternal": self._get_upload_url,
            "files.completeUploadExternal": self._complete_upload,
            "files.info": lambda args: {"file": self.describe(args.get("file"))},
            "files.delete": self._delete,
        }
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Forget every file and its bytes."""
        self.records.clear()
        self._memory.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder.mkdir()

    def add(self, *, name: str, user: str, title: str | None = None) -> str:
        """Register a file that has no bytes yet; returns its id."""
        file_id = random_id("F", 10)
        mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        extension = Path(name).suffix.lstrip(".").lower() or "binary"
        self.records[file_id] = {
            "id": file_id,
            "created": int(time.time()),
            "timestamp": int(time.time()),
            "name": name,
            "title": title or name,
            "mimetype": mimetype,
            "filetype": extension,
            "pretty_type": extension.upper(),
            "user": user,
            "size": 0,
            "mode": "hosted",
            "is_external": False,
            "is_public": False,
            "channels": [],
            "ims": [],
        }
        return file_id

    def write(self, file_id: str, data: bytes) -> None:
        """Store the bytes of a registered file.

        Raises:
            SlackError: `file_not_found`.
        """
        record = self.record(file_id)
        if self._folder is None:
            self._memory[file_id] = data
        else:
            (self._folder / file_id).write_bytes(data)
        record["size"] = len(data)
        record["uploaded"] = True
        self._workspace.dirty = True

    def read(self, file_id: str) -> bytes:
        """The bytes of an uploaded file.

        Raises:
            SlackError: `file_not_found`.
        """
        if not self.record(file_id).get("uploaded"):
            raise SlackError("file_not_found")
        if self._folder is None:
            return self._memory[file_id]
        return (self._folder / file_id).read_bytes()

    def record(self, file_id: object) -> Json:
        """The stored record.

        Raises:
            SlackError: `file_not_found`.
        """
        if str(file_id) not in self.records:
            raise SlackError("file_not_found")
        return self.records[str(file_id)]

    def describe(self, file_id: object) -> Json:
        """Slack's file object, with the addresses from which the bot downloads the bytes.

        Raises:
            SlackError: `file_not_found`.
        """
        record = {key: value for key, value in self.record(file_id).items() if key != "uploaded"}
        address = f"{self._workspace.base_url}files-pri/{record['id']}"
        last = quote(record["name"].replace("/", "_"), safe="")  # one part of a path, whatever the name holds
        record["url_private"] = f"{address}/{last}"
        record["url_private_download"] = f"{address}/download/{last}"
        record["permalink"] = f"{self._workspace.base_url}page/file/{record['id']}"
        return record

    def check_images(self, blocks: object, path: str = "blocks") -> list[str]:
        """One problem for each `slack_file` in the blocks that names no uploaded file."""
        problems: list[str] = []
        parts: list[tuple[str, Any]] = []
        if isinstance(blocks, list):
            parts = [(f"{path}[{index}]", part) for index, part in enumerate(blocks)]
        elif isinstance(blocks, dict):
            parts = [(f"{path}.{name}", part) for name, part in blocks.items()]
            named = blocks.get("slack_file")
            if isinstance(named, dict) and not self._is_usable(named):
                problems.append(f"{path}.slack_file: invalid slack file")
        for inner_path, part in parts:
            problems += self.check_images(part, inner_path)
        return problems

    def _is_usable(self, named: Json) -> bool:
        address = str(named.get("url", ""))
        file_id = named.get("id") or next((part for part in address.split("/") if part in self.records), "")
        return bool(self.records.get(str(file_id), {}).get("uploaded"))

    def _get_upload_url(self, args: Json) -> Json:
        name = args.get("filename")
        if not name:
            raise SlackError("invalid_arguments", ["missing required field: filename"])
        try:
            length = int(args.get("length", 0))
        except ValueError:
            length = 0
        if length <= 0:
            raise SlackError("invalid_arguments", ["length must be greater than 0"])
        file_id = self.add(name=str(name), user=BOT_USER_ID)
        return {"upload_url": f"{self._workspace.base_url}upload/{file_id}", "file_id": file_id}

    def _complete_upload(self, args: Json) -> Json:
        given = args.get("files")
        if not isinstance(given, list) or not given:
            raise SlackError("invalid_arguments", ["missing required field: files"])
        for entry in given:
            record = self.record(entry.get("id"))
            if not record.get("uploaded"):
                raise SlackError("file_not_found")
            record["title"] = entry.get("title") or record["name"]
        for channel_id in filter(None, [args.get("channel_id"), *str(args.get("channels", "")).split(",")]):
            self._share([entry["id"] for entry in given], channel_id, args)
        return {"files": [self.describe(entry["id"]) for entry in given]}

    def _share(self, file_ids: list[str], channel_id: str, args: Json) -> None:
        channel = self._workspace.channel(channel_id)
        if not channel.bot_is_member:
            raise SlackError("not_in_channel")
        for file_id in file_ids:
            self.record(file_id)["ims" if channel.kind == "im" else "channels"].append(channel.id)
        fields: Json = {"text": args.get("initial_comment") or "", "thread_ts": args.get("thread_ts")}
        if args.get("blocks"):
            problems = message_problems(args) + self.check_images(args["blocks"])
            if problems:
                raise SlackError("invalid_blocks", problems)
            fields["blocks"] = with_ids(args["blocks"])
        fields["files"] = [self.describe(file_id) for file_id in file_ids]
        self._workspace.post(channel, self._bot_message(fields))

    def _delete(self, args: Json) -> Json:
        record = self.record(args.get("file"))
        del self.records[record["id"]]
        self._memory.pop(record["id"], None)
        if self._folder is not None:
            (self._folder / record["id"]).unlink(missing_ok=True)
        self._workspace.dirty = True
        return {}
