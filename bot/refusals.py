"""What follows when Slack does not take a call: wait as long as it says, wait longer and longer, or give it up."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from slack_sdk.errors import SlackApiError

MAX_DELAY = timedelta(minutes=5)
# What no second try mends: nobody is left to tell, or Slack does not take this very content.
_HOPELESS = {
    "channel_not_found",
    "is_archived",
    "not_in_channel",
    "user_not_found",
    "user_disabled",
    "cannot_dm_bot",
    "invalid_blocks",
    "invalid_arguments",
    "invalid_metadata_format",
    "msg_too_long",
    "no_text",
}
# What an admin mends, by a new token or an installation; until then everything waits.
_ADMIN = {"invalid_auth", "account_inactive", "token_revoked", "token_expired", "not_authed", "missing_scope"}


class Refusal(NamedTuple):
    """Slack's word for it, and how long to wait; None where waiting mends nothing."""

    reason: str
    wait: timedelta | None
    for_admin: bool = False


def reason_of(error: SlackApiError) -> str:
    """Slack's word for what is wrong."""
    return str(error.response.get("error") or f"status {error.response.status_code}")


def details_of(error: SlackApiError) -> str:
    """What Slack says besides, as for blocks that it does not take."""
    return str((error.response.get("response_metadata") or {}).get("messages", ""))


def judge(error: SlackApiError, tries: int) -> Refusal:
    """What to do about a refusal after so many earlier tries."""
    reason = reason_of(error)
    if error.response.status_code == 429:
        return Refusal("rate limited", timedelta(seconds=float(error.response.headers.get("Retry-After", 1))))
    if reason in _HOPELESS:
        return Refusal(reason, None)
    if reason in _ADMIN:
        return Refusal(reason, MAX_DELAY, for_admin=True)
    return Refusal(reason, backoff(tries))


def backoff(tries: int) -> timedelta:
    """1, 2, 4 … seconds, at most five minutes."""
    return min(timedelta(seconds=2.0 ** min(tries, 9)), MAX_DELAY)
