"""App Home: active jobs, the budget, the ways in."""

from __future__ import annotations

from typing import Any

from slack_bolt import App
from slack_sdk import WebClient

from blocks.errors import failure_home
from blocks.home import home_view
from bot.context import BotContext
from bot.errors import shown
from bot.last_resort import told
from bot.request import first_time, origin
from functions.jobs import home


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""

    def opened(body: dict[str, Any], client: WebClient) -> None:
        """Somebody looks at App Home."""
        if body["event"].get("tab") == "home":
            context.later(told(lambda: show_home(body, client), body=body, client=client))

    def show_home(body: dict[str, Any], client: WebClient) -> None:
        if not first_time(context, body):
            return
        asked = origin(body)

        def publish() -> None:
            person = asked.person(context)
            with context.db.transaction() as tx:
                view = home(tx, person=person, now=context.clock())
            client.views_publish(user_id=asked.user_id, view=home_view(view))

        def show(text: str, blocks: list[dict[str, Any]]) -> None:
            client.views_publish(user_id=asked.user_id, view=failure_home(text, blocks))

        shown(publish, show)

    app.event("app_home_opened")(opened)
