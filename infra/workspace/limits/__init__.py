"""Slack's limits: what it would refuse in a message, a view or an answer with options.

Each function returns sentences that start with a JSON path; an empty list means that Slack would
take the payload. Sources: the Block Kit reference on docs.slack.dev and refusals that Slack's
issue trackers record.
"""

from __future__ import annotations

from infra.workspace.limits._payloads import message_problems, options_problems, view_problems

__all__ = ["message_problems", "options_problems", "view_problems"]
