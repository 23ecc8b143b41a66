"""`brightrun bill`: what jobs were charged, beside the provider's own bill."""

from __future__ import annotations

from datetime import timedelta

from functions.errors import InvalidInput
from infra.clock import utc_now
from infra.settings import Settings


def compare(settings: Settings, *, days: int) -> tuple[bool, str]:
    """(whether nothing differs, what to say). A plan without a billing report is said, and is no difference.

    Raises:
        InvalidInput: nothing bills here, or no database is configured.
        Unavailable: Modal or the database cannot be reached.
    """
    if settings.compute != "modal":
        raise InvalidInput("Jobs run on this machine: nobody bills for it.", fix="Set BRIGHTRUN_COMPUTE=modal.")
    if settings.database_url is None:
        raise InvalidInput("No database is configured.", fix="Set BRIGHTRUN_DATABASE_URL.")
    # Imported where it is used: a run without Modal starts faster without its SDK.
    from infra.modal.billing import Verdict, compare_bills
    from infra.modal.names import Names

    end = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    start = end - timedelta(days=days)
    found = compare_bills(Names.of(settings), settings.database_url.get_secret_value(), start=start, end=end)
    text = f"{start:%Y-%m-%d} to {end - timedelta(days=1):%Y-%m-%d}, UTC: {found.verdict.value}. {found.detail}"
    return found.verdict is not Verdict.DIFFERS, text
