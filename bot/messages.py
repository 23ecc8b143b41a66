"""Every sentence that the bot says or logs by itself, as a named function."""

from __future__ import annotations

from blocks.text import channel, safe
from functions.model.approval import Approval, ApprovalState


def unexpected(reference: str) -> str:
    """For the person who met an error that nobody foresaw."""
    return (
        f"Something went wrong on our side. Nothing was charged and nothing was lost. "
        f"Tell an admin this reference: {reference}"
    )


def trigger_expired(command: str) -> str:
    """Slack gives three seconds to open a window; they passed."""
    return f"Slack did not let me open the window in time. Type `{command}` again."


def checking(file_name: str) -> str:
    """While an added file is read."""
    return f"Checking {file_name}: reading every record and counting tokens. A minute at most."


def slack_busy() -> str:
    """Slack answered 429 or 5xx, also at the second try."""
    return "Slack is busy or out of order right now. Nothing was changed. Try again in a minute."


def not_in_channel(channel_id: str) -> str:
    """The card cannot be posted where the run was asked for."""
    return (
        f"I am not in {_place(channel_id)}, so your run's card is here. "
        "Type `/invite @Bright Run` in the channel before the next run."
    )


def channel_archived(channel_id: str) -> str:
    """The channel takes no messages any more."""
    return f"{_place(channel_id)} is archived, so your run's card goes on here."


def card_deleted(channel_id: str) -> str:
    """Somebody deleted the card while the run had something to tell."""
    return f"Your run's card in {_place(channel_id)} was deleted, so it goes on here. The run itself was not touched."


def set_aside(notice: str, reference: str) -> str:
    """A milestone could not be drawn, however often it was tried."""
    return (
        f"A message about this run ({notice.replace('_', ' ')}) could not be drawn and is left out; the run itself "
        f"was not touched, and Details has its figures. Tell an admin this reference: {reference}"
    )


def _place(channel_id: str) -> str:
    return channel(channel_id) or "our direct messages"


def pausing(name: str) -> str:
    """A pause was asked for."""
    return f"{safe(name, 150)} saves where it is and frees its machine, within a minute. Its card says when it rests."


def promoted(name: str) -> str:
    """A waiting run was moved to the front."""
    return f"{safe(name, 150)} is the next one to start."


def decided(request: Approval) -> str:
    """For the one who pressed, in private; every copy of the request says it too."""
    failed = request.state is ApprovalState.LAUNCH_FAILED
    state = "approved, but it could not be done" if failed else request.state.value
    said = f"{safe(request.quoted.title, 150)}: {state}."
    return f"{said} {safe(request.outcome, 500)}" if request.outcome else said


def unknown_subcommand(text: str) -> str:
    """`/brightrun something`."""
    return f"I don't know `/brightrun {safe(text.replace('`', ''), 100)}`. Here is what I can do:"


def drawing_quote() -> str:
    """While the PDF of an estimate is made."""
    return "Making the PDF …"


def quote_sent() -> str:
    """The PDF of an estimate was uploaded where only the one who asked sees it."""
    return "✓ The estimate is in your direct messages with Bright Run, as a PDF."


def quote_not_sent() -> str:
    """The PDF of an estimate could not be made or sent; a message says why."""
    return "⚠ The PDF could not be sent. A message to you says why."


def quote_comment(name: str) -> str:
    """Beside the PDF of an estimate."""
    return f"The estimate of {safe(name, 150)}. Nothing was started; only you see this."


def budget_export() -> str:
    """Beside the budget's CSV."""
    return "The budget's runs, with what each cost. Only you see this."


def audit_export() -> str:
    """Beside the audit log's CSV."""
    return "The audit log, as you filtered it. Only you see this."


def unknown_budget_subcommand(text: str) -> str:
    """`/budget something`."""
    return f"I don't know `/budget {safe(text.replace('`', ''), 100)}`. Type `/budget`, or `/budget audit`."


def asking_stripe() -> str:
    """While Stripe makes a page or an invoice."""
    return "Asking Stripe. A few seconds."


def adding() -> str:
    """While a confirmed file is stored."""
    return "Adding it to the team's training files."
