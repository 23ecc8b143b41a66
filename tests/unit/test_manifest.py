"""The Slack app's manifest says what the bot answers to, and asks for no more than it needs."""

from __future__ import annotations

import json
from importlib.resources import files

from bot.commands import COMMANDS

MANIFEST = json.loads((files("infra") / "slack" / "manifest.json").read_text("utf-8"))


def test_every_command_is_in_the_manifest_and_no_other() -> None:
    listed = {item["command"]: item["description"] for item in MANIFEST["features"]["slash_commands"]}
    assert listed == {command: description for command, description, _ in COMMANDS}


def test_the_scopes_are_the_least_that_will_do() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) <= {
        "commands",
        "chat:write",
        "files:write",
        "files:read",
        "users:read",
        "im:write",
        # Only read after a crash, to see whether a message was posted before it.
        "channels:history",
        "groups:history",
        "im:history",
        # Who is in the user group that names the managers.
        "usergroups:read",
    }


def test_where_slack_calls_is_one_address() -> None:
    text = json.dumps(MANIFEST)
    assert text.count("https://example.com/") == text.count("https://example.com/slack/events") > 0
