"""The endpoints of Supabase Storage that the adapter and its links use, over real HTTP.

Written from the documented API and from what the client sends. As the real one does, it answers most
refusals with an HTTP 400 whose body carries the status proper; only its own trouble is a real 5xx.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import jwt
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from functions.ports import Clock
from infra.clock import utc_now

SERVICE_KEY = "sb_secret_of_the_test"
UPLOAD_LIFE = timedelta(hours=2)
_SIGNING_KEY = "the stand-in's own key, of which nobody else knows"
_VALID_KEY = re.compile(r"[\w/!.*'() &$@=;:+,?-]+", re.ASCII)
_AT = "2026-11-21T09:00:00.000Z"


class Refused(Exception):
    """An answer that is not the one wanted, in Storage's own words."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message

    def answer(self) -> Response:
        body = {"statusCode": str(self.status), "error": self.error, "message": self.message}
        return JSONResponse(body, status_code=self.status if self.status >= 500 else 400)


@dataclass
class Bucket:
    """A row of `storage.buckets`."""

    file_size_limit: int | None = None
    allowed_mime_types: list[str] | None = None
    public: bool = False


@dataclass
class StorageServer:
    """What is stored, and how Storage misbehaves for a test."""

    folder: Path
    buckets: dict[str, Bucket]
    clock: Clock = utc_now
    types: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    # What the next calls are answered with instead, by what they are for ("" is every call).
    broken: dict[str, Response] = field(default_factory=dict)
    slow_seconds: float = 0.0

    def app(self) -> Starlette:
        """The app, as it hangs below a project's address."""
        place = "{bucket}/{path:path}"
        return Starlette(
            routes=[
                self._route("GET", "bucket/{bucket}", self._bucket),
                self._route("GET", f"object/info/{place}", self._info),
                self._route("POST", f"object/upload/sign/{place}", self._sign_upload),
                self._route("PUT", f"object/upload/sign/{place}", self._upload_signed, signed=True),
                self._route("POST", f"object/sign/{place}", self._sign),
                self._route("GET", f"object/sign/{place}", self._download, signed=True),
                self._route("POST", f"object/{place}", self._upload),
            ]
        )

    def located(self, bucket: str, path: str) -> Path:
        """Where a stored file lies."""
        return self.folder / bucket / path

    def _route(
        self, method: str, path: str, action: Callable[[Request], Awaitable[Response]], *, signed: bool = False
    ) -> Route:
        async def handle(request: Request) -> Response:
            self.calls.append(f"{method} {request.url.path}")
            await asyncio.sleep(self.slow_seconds)
            for part, answer in self.broken.items():
                if part in f"{method} {request.url.path}":
                    return answer
            try:
                if not signed:
                    _require_service_key(request)
                return await action(request)
            except Refused as refused:
                return refused.answer()

        return Route(f"/storage/v1/{path}", handle, methods=[method])

    async def _bucket(self, request: Request) -> Response:
        name = request.path_params["bucket"]
        bucket = self._found_bucket(name)
        return JSONResponse(
            {
                "id": name,
                "name": name,
                "owner": "",
                "public": bucket.public,
                "created_at": _AT,
                "updated_at": _AT,
                "file_size_limit": bucket.file_size_limit,
                "allowed_mime_types": bucket.allowed_mime_types,
            }
        )

    async def _info(self, request: Request) -> Response:
        bucket, path = self._asked(request)
        found = self._found(bucket, path)
        size, kind = found.stat().st_size, self.types[f"{bucket}/{path}"]
        return JSONResponse({"name": path, "bucket_id": bucket, "size": size, "content_type": kind})

    async def _upload(self, request: Request) -> Response:
        bucket, path = self._asked(request)
        return await self._store(request, bucket, path, upsert=request.headers.get("x-upsert") == "true")

    async def _sign_upload(self, request: Request) -> Response:
        bucket, path = self._asked(request)
        _check_key(path)
        upsert = request.headers.get("x-upsert") == "true"
        if not upsert and self.located(bucket, path).is_file():
            raise Refused(409, "Duplicate", "The resource already exists")
        token = self._token(bucket, path, UPLOAD_LIFE, upsert=upsert)
        return JSONResponse({"url": f"/object/upload/sign/{bucket}/{quote(path)}?token={token}", "token": token})

    async def _upload_signed(self, request: Request) -> Response:
        bucket, path = self._asked(request)
        allowed = self._verified(request, bucket, path)
        return await self._store(request, bucket, path, upsert=bool(allowed.get("upsert")))

    async def _sign(self, request: Request) -> Response:
        bucket, path = self._asked(request)
        self._found(bucket, path)
        life = timedelta(seconds=int((await request.json())["expiresIn"]))
        token = self._token(bucket, path, life)
        return JSONResponse({"signedURL": f"/object/sign/{bucket}/{quote(path)}?token={token}"})

    async def _download(self, request: Request) -> Response:
        bucket, path = self._asked(request)
        self._verified(request, bucket, path)
        found, name = self._found(bucket, path), request.query_params.get("download")
        return FileResponse(found, filename=name or None, media_type=self.types[f"{bucket}/{path}"])

    async def _store(self, request: Request, bucket: str, path: str, *, upsert: bool) -> Response:
        rules = self._found_bucket(bucket)
        _check_key(path)
        target = self.located(bucket, path)
        if target.is_file() and not upsert:
            raise Refused(409, "Duplicate", "The resource already exists")
        kind, data = await _sent(request, rules.file_size_limit)
        if rules.allowed_mime_types is not None and kind not in rules.allowed_mime_types:
            raise Refused(415, "invalid_mime_type", f"mime type {kind} is not supported")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.types[f"{bucket}/{path}"] = kind
        return JSONResponse({"Key": f"{bucket}/{path}", "Id": "0"})

    def _asked(self, request: Request) -> tuple[str, str]:
        bucket, path = request.path_params["bucket"], request.path_params["path"]
        self._found_bucket(bucket)
        return bucket, path

    def _found_bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refused(404, "Bucket not found", "Bucket not found")
        return self.buckets[name]

    def _found(self, bucket: str, path: str) -> Path:
        found = self.located(bucket, path)
        if not found.is_file():
            raise Refused(404, "not_found", "Object not found")
        return found

    def _token(self, bucket: str, path: str, life: timedelta, **more: bool) -> str:
        payload = {"url": f"{bucket}/{path}", "exp": int((self.clock() + life).timestamp()), **more}
        return jwt.encode(payload, _SIGNING_KEY, algorithm="HS256")

    def _verified(self, request: Request, bucket: str, path: str) -> dict[str, object]:
        try:
            token = request.query_params["token"]
            # Expiry by the test's clock.
            allowed = jwt.decode(token, _SIGNING_KEY, algorithms=["HS256"], options={"verify_exp": False})
        except (KeyError, jwt.InvalidTokenError) as error:
            raise Refused(400, "InvalidJWT", "signature verification failed") from error
        if allowed["exp"] < self.clock().timestamp():
            raise Refused(400, "InvalidJWT", '"exp" claim timestamp check failed')
        if allowed["url"] != f"{bucket}/{path}":
            raise Refused(400, "InvalidSignature", "The url do not match the signature")
        return dict(allowed)


def _require_service_key(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {SERVICE_KEY}":
        raise Refused(403, "Unauthorized", "signature verification failed")


def _check_key(path: str) -> None:
    if not _VALID_KEY.fullmatch(path):
        raise Refused(400, "InvalidKey", f"Invalid key: {path}")


async def _sent(request: Request, limit: int | None) -> tuple[str, bytes]:
    """The content type and the file, sent as a form or as it is; never more of it than the bucket takes."""
    kind = request.headers.get("content-type", "application/octet-stream")
    if kind.startswith("multipart/form-data"):
        async with request.form() as form:
            file = next(part for part in form.values() if isinstance(part, UploadFile))
            data = await file.read()
            kind = (file.content_type or "").split(";")[0]
    else:
        data = await request.body()
    if limit is not None and len(data) > limit:
        raise Refused(413, "Payload too large", "The object exceeded the maximum allowed size")
    return kind, data


def proxy_page(status: int = 200) -> Response:
    """What a proxy or a wrong address answers."""
    return HTMLResponse("<html><h1>Welcome to nginx!</h1></html>", status_code=status)


def out_of_order(status: int = 503) -> Response:
    """What Storage answers when its own database is away."""
    return Refused(status, "DatabaseConnectionLimit", "The database has reached its maximum.").answer()
