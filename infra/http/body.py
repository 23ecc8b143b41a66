"""Reading a request's body, up to a limit."""

from __future__ import annotations

from starlette.requests import Request


async def limited_body(request: Request, most_bytes: int) -> bytes | None:
    """The raw body, or None where it is larger."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            return None
        parts.append(part)
    return b"".join(parts)
