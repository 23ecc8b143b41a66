"""How a GPU job proves that a request is its own: one token a job attempt, one HMAC a request."""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE_HEADER = "x-brightrun-signature"
TIMESTAMP_HEADER = "x-brightrun-timestamp"
ATTEMPT_HEADER = "x-brightrun-attempt"
MAX_SKEW_SECONDS = 300


def job_token(secret: str, *, job_id: str, attempt: int) -> str:
    """The token of one attempt, derived from the service's secret; nothing needs to be stored."""
    message = f"brightrun-job:{job_id}:{attempt}"
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def request_signature(token: str, *, timestamp: str, body: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 of `timestamp.body` under the job's token."""
    mac = hmac.new(token.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"


def signature_is_valid(token: str, *, timestamp: str, body: bytes, signature: str, now: float) -> bool:
    """Whether the signature is right (compared in constant time) and at most five minutes off."""
    try:
        skew = abs(now - float(timestamp))
    except ValueError:
        return False
    expected = request_signature(token, timestamp=timestamp, body=body)
    return skew <= MAX_SKEW_SECONDS and hmac.compare_digest(expected, signature)
