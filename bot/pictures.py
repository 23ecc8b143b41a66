"""Uploading a picture so that a block can show it."""

from __future__ import annotations

import time

from slack_sdk import WebClient

# Slack takes a picture in asynchronously and refuses blocks that name it too early.
_LOOKS, _PAUSE_S = 10, 0.5


def upload_picture(client: WebClient, png: bytes, name: str) -> str:
    """The id of the uploaded picture. It is shared nowhere: the block that names it carries the alt text."""
    answer = client.files_upload_v2(content=png, filename=name, title=name)
    file_id = str(answer["files"][0]["id"])
    for _ in range(_LOOKS):
        if client.files_info(file=file_id)["file"].get("mimetype"):
            break
        time.sleep(_PAUSE_S)
    return file_id


def send_file(client: WebClient, *, user_id: str, data: bytes, name: str, comment: str) -> None:
    """Send a file to one person directly."""
    direct = str(client.conversations_open(users=user_id)["channel"]["id"])
    client.files_upload_v2(channel=direct, content=data, filename=name, title=name, initial_comment=comment)
