"""Makes the README's picture: `python -m tests.browser.picture`.

The page, the bot, the database and the figures are real; the machine's words come from `scenes`.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from infra.postgres.database import PostgresDatabase
from infra.postgres.embedded import embedded_postgres
from infra.postgres.migrations import migrate
from tests.browser.chromium import chromium, tab
from tests.browser.scenes import Scene, scene

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "reports" / "readme.png"
DEMO_FILE = ROOT / "infra" / "demo" / "nell-harrow.json"
SIZE = (1280, 860)
MAX_BYTES = 250_000
_BUDGET_CENTS = 500_00


def main() -> None:
    """Play a run to its end, open its thread, and keep what the screen shows."""
    with contextlib.ExitStack() as after:
        folder = Path(after.enter_context(tempfile.TemporaryDirectory()))
        url = after.enter_context(embedded_postgres(folder / "postgres"))
        migrate(url)
        db = PostgresDatabase(url, default_limit_cents=_BUDGET_CENTS, max_connections=12)
        after.callback(db.close)
        story = after.enter_context(scene(db, folder / "stage", DEMO_FILE))
        play(story)
        browser = after.enter_context(chromium())
        address = f"{story.stage.workspace.base_url}/?user=U0MARCUS"
        page = after.enter_context(tab(browser, address, width=SIZE[0], height=SIZE[1]))
        PICTURE.write_bytes(small(taken(page)))


def play(story: Scene) -> None:
    """People talk, one of them starts a run, and it ends well."""
    stage = story.stage
    marcus = stage.client.as_user("U0MARCUS")
    marcus.say("C0TRAINING", "Friday's demo needs Nell to sound like herself. Can we have her by then?")
    stage.elena.say("C0TRAINING", "Starting her now, Balanced. It is about ten minutes, and under a dollar.")
    story.start(preset="balanced")
    story.through_training()
    story.end()


def taken(page: Page) -> bytes:
    """The channel beside the finished run's thread, as PNG."""
    page.get_by_test_id("thread-link").click()
    thread = page.get_by_test_id("thread-panel")
    pictures = thread.locator("img.block-image")
    pictures.last.wait_for()
    page.wait_for_function("[...document.querySelectorAll('img.block-image')].every(image => image.complete)")
    thread.locator(".scroller").evaluate("node => node.scrollTo(0, node.scrollHeight)")
    page.mouse.move(640, 20)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(300)
    return page.screenshot()


def small(png: bytes) -> bytes:
    """The same picture in 256 colours.

    Raises:
        ValueError: it is still larger than a README should carry.
    """
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    if out.tell() > MAX_BYTES:
        raise ValueError(f"{out.tell():,} bytes; at most {MAX_BYTES:,} are wanted")
    return out.getvalue()


if __name__ == "__main__":
    main()
