"""What `brightrun doctor` finds at the public address."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

import httpx

from infra.postgres.inspection import Verdict
from infra.settings import Settings

_PUBLIC_SECONDS = 5.0
_OWN_SECONDS = 2.0


def examine_address(settings: Settings) -> Verdict:
    """Whether the public address leads to this service. Before it is started nothing has to answer."""
    if not settings.public_url:
        here = settings.service_url
        return Verdict("this machine", f"links and jobs work at {here} only; BRIGHTRUN_PUBLIC_URL names another")
    if urlsplit(settings.public_url).scheme not in ("https", "http"):
        detail = "BRIGHTRUN_PUBLIC_URL is not an address. It looks like https://brightrun.example.com"
        return Verdict("broken", detail, broken=True)
    url = f"{settings.service_url}/health"
    said, curable = _ask(url)
    if not said:
        return Verdict("ok", f"{url} answers as it should")
    if _runs_here(settings):
        detail = f"{url} {said}, and the service runs here: its proxy or tunnel does not lead to it"
        return Verdict("broken", detail, broken=True)
    if not curable:
        return Verdict("broken", f"{url} {said}. Set BRIGHTRUN_PUBLIC_URL to where this service is", broken=True)
    return Verdict("no answer", f"{url} {said}, and nothing runs here. Start Bright Run, then look again")


def _ask(url: str) -> tuple[str, bool]:
    """(what is wrong with the answer, "" where nothing is; whether starting the service could cure it)."""
    try:
        answer = httpx.get(url, timeout=_PUBLIC_SECONDS)
    except httpx.TimeoutException:
        return f"gave no answer within {_PUBLIC_SECONDS:.0f} seconds", True
    except httpx.InvalidURL as error:
        return f"is not an address: {error}", False
    except httpx.HTTPError as error:
        return f"cannot be reached: {error}", not _of_name_or_certificate(error)
    if answer.is_server_error:  # a proxy with nothing behind it
        return f"answers {answer.status_code}", True
    if answer.is_redirect:
        return f"leads elsewhere, to {answer.headers.get('location', '?')}", False
    return ("" if _is_ours(answer) else f"answers {answer.status_code}, but not as Bright Run does"), False


def _is_ours(answer: httpx.Response) -> bool:
    try:
        return answer.is_success and answer.json() == {"ok": True}
    except ValueError:
        return False


def _of_name_or_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, (socket.gaierror, ssl.SSLError)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _runs_here(settings: Settings) -> bool:
    url = f"http://{settings.host}:{settings.http_port}/health"
    try:
        return _is_ours(httpx.get(url, timeout=_OWN_SECONDS, trust_env=False))
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
