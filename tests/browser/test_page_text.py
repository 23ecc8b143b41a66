"""The page shows texts and blocks as Slack would, and never runs what somebody typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from infra.workspace.app import WorkspaceConfig
from infra.workspace.serving import WorkspaceServer
from tests.browser.chromium import tab

Json = dict[str, Any]
RENDER = """async ([module, name, text]) => {
  const made = (await import(`/static/${module}.js`))[name](text);
  const box = document.createElement('div');
  box.append(made);
  document.body.append(box);
  return box.innerHTML;
}"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    config = WorkspaceConfig(bot_token="xoxb-1", app_token="xapp-1", signing_secret="s")
    with (
        WorkspaceServer(config) as server,
        tab(browser, f"{server.base_url}/?user=U0ELENA") as page,
    ):
        yield page


def mrkdwn(page: Page, text: str) -> str:
    html: str = page.evaluate(RENDER, ["mrkdwn", "mrkdwn", text])
    return html


def markdown(page: Page, text: str) -> str:
    html: str = page.evaluate(RENDER, ["markdown", "markdown", text])
    return html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _it_ ~gone~", "<strong>bold</strong> <em>it</em> <s>gone</s>"),
        ("*_both_*,", "<strong><em>both</em></strong>,"),
        ("snake_case_name 2*3*4 a * b *", "snake_case_name 2*3*4 a * b *"),
        ("`*x*` and *`y`*", "<code>*x*</code> and <strong><code>y</code></strong>"),
        ("5 &lt; 6 &amp;&amp; 7 &gt; 6", "5 &lt; 6 &amp;&amp; 7 &gt; 6"),
        ("&amp;lt;", "&amp;lt;"),
        ("> one\n&gt; two\nthree", "<blockquote>one<br>two</blockquote>three"),
        ("```a  *b*\n  c```", '<pre class="code-block">a  *b*\n  c</pre>'),
        ("an open ``` fence", "an open ``` fence"),
        ("one\ntwo", "one<br>two"),
        ("10:30:00 :nonsense:", "10:30:00 :nonsense:"),
    ],
)
def test_mrkdwn_marks(page: Page, text: str, html: str) -> None:
    assert mrkdwn(page, text) == html


def test_mrkdwn_references(page: Page) -> None:
    html = mrkdwn(page, "<@U0ELENA> asks <@U0MARCUS> in <#C0TRAINING> <https://a.example/?a=1&amp;b=2|the docs>")
    assert 'class="mention mention-me" data-user-id="U0ELENA">@elena<' in html
    assert ">@marcus<" in html
    assert ">#training-runs<" in html
    assert 'href="https://a.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">the docs</a>' in html
    assert "🎉" in mrkdwn(page, ":tada:")


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hacked = 1</script>",
        "<img src=x onerror=window.hacked=1>",
        "<javascript:window.hacked=1|click>",
        '<https://x.example/"onmouseover="window.hacked=1|x>',
        "&lt;img src=x onerror=window.hacked=1&gt;",
        "```<img src=x onerror=window.hacked=1>```",
        "[x](javascript:window.hacked=1) <svg onload=window.hacked=1>",
    ],
)
def test_hostile_text_stays_text(page: Page, text: str) -> None:
    for html in (mrkdwn(page, text), markdown(page, text)):
        assert "<script" not in html
        assert "<img" not in html
        assert "<svg" not in html
        assert "javascript:" not in html.replace(">", "").split("href=")[-1] or "href=" not in html
        assert ' onmouseover="' not in html
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{date_num} {time}", "2026-01-05 7:39 PM"),
        ("{time_secs}", "7:39:45 PM"),
        ("{date_short}", "Jan 5, 2026"),
        ("{date}", "January 5th, 2026"),
        ("{date_long}", "Monday, January 5th, 2026"),
        ("{date_pretty}", "yesterday"),
        ("{date_short_pretty} at {time}", "yesterday at 7:39 PM"),
        ("{ago}", "16 hours ago"),
        ("{nothing}", None),
    ],
)
def test_dates_in_the_readers_zone(page: Page, template: str, shown: str | None) -> None:
    # 2026-01-05 18:39:45 UTC is 19:39:45 in Paris, where the reader sits; "now" is the next noon.
    now = "2026-01-06T12:00:00+01:00" if "pretty" in template or "ago" in template else "2027-06-01T12:00:00Z"
    script = "async ([t, n]) => (await import('/static/dates.js')).formatDate(1767638385, t, new Date(n))"
    assert page.evaluate(script, [template, now]) == shown


def test_date_reference_falls_back(page: Page) -> None:
    assert mrkdwn(page, "<!date^1767638385^{wrong}|5 January>") == "5 January"
    assert ">2026-01-05</time>" in mrkdwn(page, "due <!date^1767638385^{date_num}|5 January>")


def test_markdown(page: Page) -> None:
    html = markdown(
        page, "# Title\n\n1. one\n2. two\n   - deep\n\n| a | b |\n|---|--:|\n| x | **9** |\n\n```\n<b>\n```"
    )
    assert "<h1>Title</h1>" in html
    assert '<ol start="1"><li>one</li><li>two<ul><li>deep</li></ul></li></ol>' in html
    assert '<td class="align-right"><strong>9</strong></td>' in html
    assert "&lt;b&gt;</pre>" in html


def test_there_are_enough_emoji(page: Page) -> None:
    assert page.evaluate("async () => (await import('/static/emoji.js')).emojiCount") > 150


DRAW = """async (blocks) => {
  const { renderBlocks } = await import('/static/blocks.js');
  const box = document.body.appendChild(document.createElement('div'));
  renderBlocks(box, blocks, { key: 'test', container: { type: 'home' } });
  return box.innerText;
}"""


def test_every_layout_block_draws(page: Page) -> None:
    words: Json = {"type": "plain_text", "text": "words"}
    rich = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "rich"}]}],
    }
    blocks: list[Json] = [
        {"type": "header", "text": words},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*left*"}, words]},
        {
            "type": "table",
            "rows": [[{"type": "raw_text", "text": "head"}], [{"type": "raw_number", "value": 4.5}], [rich]],
        },
        {
            "type": "plan",
            "title": "The plan",
            "tasks": [{"task_id": "1", "title": "Check", "status": "complete", "details": rich}],
        },
        {"type": "alert", "level": "warning", "text": words},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "small <!date^0^{nope}|print>"}]},
        {"type": "image", "image_url": "https://127.0.0.1:1/missing.png", "alt_text": "a curve"},
        {"type": "hologram"},
        {"type": "actions", "block_id": "a", "elements": [{"type": "dial", "action_id": "d"}]},
    ]
    shown = page.evaluate(DRAW, blocks)
    for part in ("words", "left", "head", "4.5", "rich", "The plan", "Check", "small print", "“hologram”", "“dial”"):
        assert part in shown
