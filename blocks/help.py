"""/brightrun help."""

from __future__ import annotations

from blocks.text import MessageParts, context, section

_COMMANDS = (
    ("/train", "start a training run: choose a file, see the price, start"),
    ("/jobs", "see runs, their progress, cost and results"),
    ("/datasets", "see training files and add new ones"),
    ("/budget", "see what is spent, what is left and what the month will come to"),
    ("/brightrun invoices", "invoice clients for their runs, by way of Stripe (managers)"),
    ("/brightrun help", "this page"),
    ("/brightrun roles", "who may do what; for admins"),
)


def help_message() -> MessageParts:
    """What can be typed, and what to do first."""
    commands = "\n".join(f"`{command}`  {what}" for command, what in _COMMANDS)
    first = (
        "*Your first run*\n"
        "1. `/datasets`, then Add training file. It is checked and you see what is in it.\n"
        "2. `/train`, then choose the file. The estimate changes with every choice.\n"
        "3. Review, tick three boxes, start. The run's card in the channel follows it to the end.\n"
        "4. When it is done, Download adapters on the card."
    )
    note = "Nothing costs money before you press Start training. The upper estimate is then reserved."
    text = "Bright Run trains language models from Slack: /train, /jobs, /datasets."
    blocks = [section("*Bright Run* trains language models from Slack."), section(commands), section(first)]
    return text, [*blocks, context(note)]
