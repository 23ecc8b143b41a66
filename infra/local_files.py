"""Buckets as folders, with signed links that the project's own HTTP app serves."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, urlencode

from functions.errors import InvalidInput, LinkRefused
from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES, Clock

_UPLOAD_LIFE = timedelta(hours=2)  # as long as Supabase's signed upload links live


_STAGED = ".partial-"
# A staged file is locked as soon as it is there, but not in the very same moment.
_JUST_MADE_S = 1.0


@contextmanager
def staged(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the target's place at the end of the block, or vanishes where that raises.

    Raises:
        OSError: it could not be written.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_STAGED)
    stage = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield stream
        stage.replace(target)
    finally:
        stage.unlink(missing_ok=True)


class SignedRequest(NamedTuple):
    """What a checked link allows: the file, and for uploads how much."""

    path: Path
    name: str
    max_bytes: int


class LocalFiles:
    """The `Files` port over a folder. Links carry an HMAC over everything that they allow."""

    def __init__(self, root: Path, *, secret: str, base_url: str, clock: Clock) -> None:
        self._root = root
        self._secret = secret.encode()
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    def put(self, bucket: str, path: str, data: bytes | Path) -> None:
        """Store a file, replacing what was there; nobody ever sees half of it."""
        target = self.locate(bucket, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with staged(target) as stream:
            if isinstance(data, bytes):
                stream.write(data)
            else:
                with data.open("rb") as source:
                    shutil.copyfileobj(source, stream, 1 << 20)

    def remove_abandoned(self) -> None:
        """Remove what was being written when its process was killed; what somebody writes now is locked."""
        for path in self._root.glob(f"*/**/{_STAGED}*"):
            with suppress(OSError), path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - path.stat().st_mtime > _JUST_MADE_S:
                    path.unlink(missing_ok=True)

    def exists(self, bucket: str, path: str) -> bool:
        """Whether the file is there."""
        return self.locate(bucket, path).is_file()

    def download_url(self, bucket: str, path: str, *, expires_in: timedelta, name: str) -> str:
        """A link to the file that stops working after the given time; saved under `name`."""
        return self._link("GET", bucket, path, expires_in, {"name": name})

    def upload_url(self, bucket: str, path: str, *, max_bytes: int) -> str:
        """A link to which the file may be PUT."""
        return self._link("PUT", bucket, path, _UPLOAD_LIFE, {"max": str(max_bytes)})

    def locate(self, bucket: str, path: str) -> Path:
        """The file of a bucket.

        Raises:
            InvalidInput: an unknown bucket, or a path that leaves it.
        """
        if bucket not in (TRAINING_FILES, MODEL_ARTIFACTS):
            raise InvalidInput(f"There is no bucket {bucket!r}.")
        root = (self._root / bucket).resolve()
        target = (root / path).resolve()
        if not target.is_relative_to(root) or target == root:
            raise InvalidInput(f"{path!r} is not a path in {bucket}.")
        return target

    def check(self, method: str, bucket: str, path: str, query: Mapping[str, str]) -> SignedRequest:
        """What a link that somebody came with allows.

        Raises:
            LinkRefused: it was altered, or it has expired.
        """
        allowed = {key: query.get(key, "") for key in ("expires", "name", "max") if key in query}
        signature = self._sign(method, bucket, path, allowed)
        if not hmac.compare_digest(signature.encode(), query.get("signature", "").encode()):
            raise LinkRefused("This link was altered or cut off.", expired=False, fix="Use the whole link, as sent.")
        if self._clock() > datetime.fromtimestamp(int(allowed["expires"]), tz=self._clock().tzinfo):
            raise LinkRefused(
                "This link has expired.", expired=True, fix="Press Download on the job's card in Slack for a new one."
            )
        return SignedRequest(self.locate(bucket, path), allowed.get("name", ""), int(allowed.get("max", "0")))

    def _link(self, method: str, bucket: str, path: str, life: timedelta, extra: dict[str, str]) -> str:
        self.locate(bucket, path)
        allowed = {"expires": str(int((self._clock() + life).timestamp())), **extra}
        query = {**allowed, "signature": self._sign(method, bucket, path, allowed)}
        return f"{self._base_url}/files/{bucket}/{quote(path)}?{urlencode(query)}"

    def _sign(self, method: str, bucket: str, path: str, allowed: Mapping[str, str]) -> str:
        message = "\n".join([method, bucket, path, *(f"{key}={allowed[key]}" for key in sorted(allowed))])
        return hmac.new(self._secret, message.encode(), hashlib.sha256).hexdigest()
