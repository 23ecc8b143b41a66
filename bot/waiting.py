"""A window that waits while work goes on after its ack, and gets the result whichever of the two is first.

Slack carries out an ack when it has arrived, which may be after the work is done; an update made before that
would be painted over and the window would wait for ever. So the waiting view has an id of its own, by which
it cannot be found until the ack was carried out.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from blocks.errors import failure_view
from blocks.text import loading_view
from bot.errors import ephemeral, shown
from bot.request import origin

log = logging.getLogger(__name__)

View = dict[str, Any]
# Until an ack is surely carried out: Slack waits three seconds for it.
_LOOK_AGAIN_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5)


class WaitingView:
    """What an ack puts in the place of a submitted form. `view` is for the ack."""

    def __init__(self, title: str, text: str) -> None:
        self._title = title
        self._id = uuid.uuid4().hex
        self.view: View = {**loading_view(title, text), "external_id": self._id}

    def finish(self, work: Callable[[], View], *, body: dict[str, Any], client: WebClient) -> None:
        """Do the work and show its view, or why there is none.

        Who closed the window meanwhile reads the same in a direct message.
        """
        user_id = origin(body).user_id
        tell = ephemeral(client, channel_id=user_id, user_id=user_id)

        def draw(view: View) -> None:
            if not self._replace(client, view):
                tell(view["title"]["text"], view["blocks"])

        def show(text: str, blocks: list[dict[str, Any]]) -> None:
            draw(failure_view(self._title, text, blocks))

        shown(lambda: draw(work()), show)

    def _replace(self, client: WebClient, view: View) -> bool:
        for pause in (*_LOOK_AGAIN_S, None):
            try:
                client.views_update(external_id=self._id, view=view)
            except SlackApiError as error:
                if error.response.get("error") != "not_found":
                    raise
                if pause is not None:
                    time.sleep(pause)
            else:
                return True
        log.info("the window of %s was closed before it was done", self._title)
        return False
