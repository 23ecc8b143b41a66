"""What Slack says of itself: which team the settings lead to, and whether it takes their tokens."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from typing import NamedTuple

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from functions.errors import InvalidInput, Unavailable
from infra.settings import LOCAL_TEAM, Settings
from infra.wiring import slack_client

# Answers that say something of the token and nothing of Slack.
_REFUSALS = frozenset(
    {
        "access_denied",
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
_RENEW_BOT = "Set BRIGHTRUN_SLACK_BOT_TOKEN to the Slack app's own (xoxb-…; there: OAuth & Permissions)."
_RENEW_APP = (
    "Set BRIGHTRUN_SLACK_APP_TOKEN to one with connections:write (xapp-…; in the Slack app: Basic Information)."
)


class Identity(NamedTuple):
    """Who the bot is, and in which team."""

    user: str
    team: str
    team_id: str


def who_are_we(settings: Settings) -> Identity:
    """Ask Slack whose the bot token is.

    Raises:
        InvalidInput: Slack refuses the token.
        Unavailable: Slack cannot be reached, or does not answer as it should.
    """
    answer = _asked(slack_client(settings).auth_test, "bot token", _RENEW_BOT)
    if not answer.get("team_id"):
        raise InvalidInput("Slack names no team for the bot token.", fix=_RENEW_BOT)
    return Identity(answer.get("user", "?"), answer.get("team", "?"), answer["team_id"])


def team_of(settings: Settings) -> str:
    """The team that people of this installation belong to: Slack's, or the local workspace's.

    Raises:
        InvalidInput: Slack refuses the token.
        Unavailable: Slack cannot be reached, or does not answer as it should.
    """
    return LOCAL_TEAM if settings.uses_local_workspace else who_are_we(settings).team_id


def try_app_token(settings: Settings) -> None:
    """Ask for a Socket Mode connection, which is then not used.

    Raises:
        InvalidInput: Slack refuses the app token.
        Unavailable: Slack cannot be reached, or does not answer as it should.
    """
    token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
    client = slack_client(settings)
    _asked(lambda: client.apps_connections_open(app_token=token), "app token", _RENEW_APP)


def members_of_managers_group(settings: Settings) -> list[str]:
    """User ids of the user group whose members are managers; none where none is named.

    Raises:
        InvalidInput: the bot token may not read user groups.
        Unavailable: Slack knows no such group, cannot be reached, or does not answer as it should.
    """
    if not settings.managers_group:
        return []
    client, group = slack_client(settings), settings.managers_group
    fix = "Reinstall the Slack app with the scope usergroups:read."
    answer = _asked(lambda: client.usergroups_users_list(usergroup=group), "bot token", fix)
    users: list[str] = answer.get("users", [])
    return users


def _asked(call: Callable[[], SlackResponse], token: str, fix: str) -> SlackResponse:
    try:
        return call()
    except SlackApiError as error:
        said = str(error.response["error"])
        if said in _REFUSALS:
            raise InvalidInput(f"Slack refuses the {token}: {said}.", fix=fix) from error
        raise Unavailable(f"Slack does not do as it is asked: {said[:100]}.", fix="Try again.") from error
    except ValueError as error:
        raise InvalidInput(f"BRIGHTRUN_SLACK_API_URL is not an address: {error}.") from error
    except (SlackClientError, HTTPException, OSError) as error:
        raise Unavailable(f"Slack cannot be reached: {error}.", fix="Try again.") from error
