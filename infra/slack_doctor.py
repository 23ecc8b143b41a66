"""What `brightrun doctor` finds of Slack."""

from __future__ import annotations

from functions.errors import BrightRunError, InvalidInput
from infra.postgres.inspection import Verdict
from infra.settings import Settings
from infra.slack_team import try_app_token, who_are_we


def examine_slack(settings: Settings) -> Verdict:
    """Whether Slack takes the tokens, and whether it has a way to the bot."""
    if settings.uses_local_workspace:
        return _local_workspace(settings)
    if settings.slack_signing_secret is None:
        return Verdict("broken", "BRIGHTRUN_SLACK_SIGNING_SECRET is missing", broken=True)
    try:
        us = who_are_we(settings)
        way = _way(settings)
    except BrightRunError as error:
        return Verdict("broken", str(error), broken=True)
    return Verdict("ok", f"{us.user} in {us.team} ({us.team_id}), {way}")


def _local_workspace(settings: Settings) -> Verdict:
    rest = {
        "BRIGHTRUN_SLACK_APP_TOKEN": settings.slack_app_token,
        "BRIGHTRUN_SLACK_SIGNING_SECRET": settings.slack_signing_secret,
    }
    if given := [name for name, value in rest.items() if value is not None]:
        detail = f"{' and '.join(given)} without BRIGHTRUN_SLACK_BOT_TOKEN: no Slack is connected. Set that one as well"
        return Verdict("broken", detail, broken=True)
    return Verdict("local workspace", "BRIGHTRUN_SLACK_BOT_TOKEN connects a real one")


def _way(settings: Settings) -> str:
    """How Slack reaches the bot.

    Raises:
        BrightRunError: it does not.
    """
    if settings.slack_app_token is not None:
        try_app_token(settings)
        return "by Socket Mode"
    if not settings.public_url:
        raise InvalidInput(
            "Slack has no way to the bot.",
            fix="Set BRIGHTRUN_SLACK_APP_TOKEN for Socket Mode, or BRIGHTRUN_PUBLIC_URL and make Slack call it.",
        )
    return f"which has to call {settings.service_url}/slack/events"
