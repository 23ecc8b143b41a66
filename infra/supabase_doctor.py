"""What `brightrun doctor` finds in Supabase Storage."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from functions.deliver import MAX_ARTIFACT_BYTES
from functions.errors import BrightRunError, InvalidInput
from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES
from functions.training_files import MAX_BYTES
from infra.postgres.inspection import Verdict
from infra.settings import Settings
from infra.wiring import supabase_files

if TYPE_CHECKING:
    from infra.supabase_files import BucketFacts

# What must fit into each bucket.
_NEEDED = {TRAINING_FILES: MAX_BYTES, MODEL_ARTIFACTS: MAX_ARTIFACT_BYTES}
_REPAIR = "Run infra/supabase/migrations/20261121003000_storage_buckets.sql again: it sets both buckets right."


def examine_storage(settings: Settings) -> Verdict:
    """Whether the buckets are there, private, and take what is put into them."""
    if not settings.uses_supabase_storage:
        return Verdict("local folder", f"{settings.data_dir.resolve() / 'files'}, with links that expire")
    try:
        files = supabase_files(settings)
    except InvalidInput as error:
        return Verdict("broken", f"{settings.supabase_url}: {error}", broken=True)
    try:
        with closing(files):
            found = {name: files.bucket(name) for name in _NEEDED}
    except BrightRunError as error:
        repair = f" {_REPAIR}" if "has no bucket" in error.what else ""
        return Verdict("broken", f"{settings.supabase_url}: {error.what}{repair}", broken=True)
    if wrong := [problem for name, bucket in found.items() for problem in _problems(name, bucket)]:
        return Verdict("broken", f"{'; '.join(wrong)}. {_REPAIR}", broken=True)
    limits = ", ".join(f"{name} up to {(bucket.max_bytes or 0) >> 20} MB a file" for name, bucket in found.items())
    return Verdict("ok", f"{settings.supabase_url}: private, {limits}; the project's own limit must not be lower")


def _problems(name: str, bucket: BucketFacts) -> list[str]:
    found = []
    if bucket.public:
        found.append(f"{name} is public: whoever knows a path can read it")
    if bucket.max_bytes is None:
        found.append(f"{name} has no size limit")
    elif bucket.max_bytes < _NEEDED[name]:
        found.append(f"{name} takes {bucket.max_bytes >> 20} MB a file, {_NEEDED[name] >> 20} MB are needed")
    if bucket.content_types is None:
        found.append(f"{name} takes files of any type")
    return found
