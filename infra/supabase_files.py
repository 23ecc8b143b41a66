"""Buckets of Supabase Storage, through the `supabase` client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import httpx
from storage3.exceptions import StorageApiError
from storage3.types import CreateSignedUploadUrlOptions, FileOptions
from storage3.utils import StorageException
from supabase import Client, ClientOptions, SupabaseException, create_client

from functions.errors import BrightRunError, InvalidInput, NotFound, Unavailable
from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES

# A click waits for these calls: the answer comes quickly or it is said that it does not.
TIMEOUT = httpx.Timeout(20.0, connect=5.0, pool=5.0, write=60.0)

# What a path's ending is stored as. The buckets take these types and no others (`…_storage_buckets.sql`).
CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".zip": "application/zip",
}
OTHER_TYPE = "application/octet-stream"

_ADMIN = "An admin of Bright Run can see what is wrong with `brightrun doctor`."
_TRY_AGAIN = "Nothing was changed; try again in a minute."


class BucketFacts(NamedTuple):
    """How a bucket is set up. `None` stands for no limit of its own."""

    public: bool
    max_bytes: int | None
    content_types: tuple[str, ...] | None


class SupabaseFiles:
    """The `Files` port over Supabase Storage.

    Two things differ from a folder. A signed upload link lives for two hours whatever one asks, and its size
    is limited by the bucket alone: `max_bytes` is checked when the link is made, not when it is used. And a
    link that has expired is answered by Supabase itself, in JSON.

    Args:
        url: the project's address, `https://….supabase.co`.
        service_key: the secret key; it may do everything in Storage and never leaves this process.

    Raises:
        InvalidInput: the address or the key is none.
    """

    def __init__(self, url: str, service_key: str, *, timeout: httpx.Timeout = TIMEOUT) -> None:
        self._http = httpx.Client(timeout=timeout, follow_redirects=True)
        options = ClientOptions(httpx_client=self._http, auto_refresh_token=False, persist_session=False)
        try:
            self._client: Client = create_client(url, service_key, options)
        except (SupabaseException, ValueError) as error:
            self._http.close()
            raise InvalidInput(
                f"Supabase cannot be used as it is set: {error}.",
                fix="Look at BRIGHTRUN_SUPABASE_URL and BRIGHTRUN_SUPABASE_SERVICE_KEY.",
            ) from error

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def put(self, bucket: str, path: str, data: bytes | Path) -> None:
        """Store a file, replacing what was there; a file on disk is streamed.

        Raises:
            InvalidInput: the bucket does not take a file of this size or type, or the path cannot be a name.
            Unavailable: Storage did not answer, or refuses the service.
        """
        kind = CONTENT_TYPES.get(PurePosixPath(path).suffix.lower(), OTHER_TYPE)
        options: FileOptions = {"content-type": kind, "upsert": "true"}
        with _told(bucket, path):
            self._client.storage.from_(bucket).upload(_checked(bucket, path), data, options)

    def exists(self, bucket: str, path: str) -> bool:
        """Whether the file is there.

        Raises:
            Unavailable: Storage did not answer, or refuses the service.
        """
        try:
            with _told(bucket, path):
                # Not the client's `exists`: it takes any 404 for a missing file, also that of a wrong address.
                self._client.storage.from_(bucket).info(_checked(bucket, path))
        except NotFound:
            return False
        return True

    def download_url(self, bucket: str, path: str, *, expires_in: timedelta, name: str) -> str:
        """A link to the file that stops working after the given time; saved under `name`.

        Raises:
            NotFound: there is no such file.
            Unavailable: Storage did not answer, or refuses the service.
        """
        seconds = max(1, int(expires_in.total_seconds()))
        with _told(bucket, path):
            signed = self._client.storage.from_(bucket).create_signed_url(
                _checked(bucket, path), seconds, {"download": name}
            )
            link = signed["signedURL"]
        if not link:
            raise Unavailable("Supabase Storage gave no link.", where=f"{bucket}/{path}", fix=_TRY_AGAIN)
        return link

    def upload_url(self, bucket: str, path: str, *, max_bytes: int) -> str:
        """A link to which the file may be PUT for two hours, again after a cut-off try.

        Raises:
            InvalidInput: the bucket does not take a file of this size.
            Unavailable: Storage did not answer, or refuses the service.
        """
        limit = self.bucket(bucket).max_bytes
        if limit is not None and max_bytes > limit:
            raise InvalidInput(
                f"A file of {max_bytes} bytes does not fit: {bucket} takes at most {limit} a file.", fix=_ADMIN
            )
        with _told(bucket, path):
            # With "upsert" the same link takes the file again where an upload was cut off.
            signed = self._client.storage.from_(bucket).create_signed_upload_url(
                _checked(bucket, path), CreateSignedUploadUrlOptions(upsert="true")
            )
        return signed["signed_url"]

    def bucket(self, bucket: str) -> BucketFacts:
        """How a bucket is set up.

        Raises:
            Unavailable: there is no such bucket, Storage did not answer, or refuses the service.
        """
        with _told(bucket, ""):
            found = self._client.storage.get_bucket(bucket)
        kinds = found.allowed_mime_types
        return BucketFacts(found.public, found.file_size_limit, None if kinds is None else tuple(kinds))


def _checked(bucket: str, path: str) -> str:
    """The path, where it names a file inside the bucket. The client would decode a percent sign."""
    if bucket not in (TRAINING_FILES, MODEL_ARTIFACTS):
        raise InvalidInput(f"There is no bucket {bucket!r}.")
    if not path or path.startswith("/") or "%" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidInput(f"{path!r} is not a path in {bucket}.")
    return path


@contextmanager
def _told(bucket: str, path: str) -> Iterator[None]:
    """Says every failure of the client in the words of this project."""
    try:
        yield
    except StorageApiError as error:
        raise _refusal(error, bucket, path) from error
    except httpx.TimeoutException as error:
        raise Unavailable("Supabase Storage takes too long to answer.", fix=_TRY_AGAIN) from error
    except httpx.HTTPError as error:
        raise Unavailable("Supabase Storage cannot be reached.", fix=_TRY_AGAIN) from error
    except (StorageException, ValueError, KeyError) as error:
        if isinstance(error, BrightRunError):
            raise
        # Something between us and Storage answered: a proxy's page, a wrong address.
        raise Unavailable("Something that is not Supabase Storage answered.", fix=_ADMIN) from error


def _refusal(error: StorageApiError, bucket: str, path: str) -> BrightRunError:
    """What Storage said, which names the real status in the body: most answers are an HTTP 400."""
    status, code = _number(error.status), error.code
    where = f"{bucket}/{path}" if path else bucket
    if code == "Bucket not found":
        return Unavailable(f"Supabase Storage has no bucket {bucket}.", fix=_ADMIN)
    if code == "not_found":
        return NotFound("The file is gone from storage.", where=where, fix="Ask an admin of Bright Run.")
    if status == 413 or code == "Payload too large":
        return InvalidInput(f"The file is larger than {bucket} takes.", where=where, fix=_ADMIN)
    if status == 415:
        return InvalidInput(f"{bucket} does not take files of this type: {error.message}.", where=where, fix=_ADMIN)
    if code == "InvalidKey":
        return InvalidInput(f"{path!r} cannot be the name of a file in Supabase Storage.")
    if status in (401, 403) or code in ("Unauthorized", "InvalidJWT"):
        return Unavailable("Supabase Storage refuses the service's key.", fix=_ADMIN)
    if status == 429:
        return Unavailable("Supabase Storage is busy.", fix=_TRY_AGAIN)
    if status >= 500:
        return Unavailable("Supabase Storage is out of order.", fix=_TRY_AGAIN)
    return Unavailable(f"Supabase Storage refused: {error.message}.", where=where, fix=_ADMIN)


def _number(status: int | str) -> int:
    return int(status) if str(status).isdecimal() else 0
