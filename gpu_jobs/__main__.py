"""`python -m gpu_jobs SPEC.json`: run one attempt of a job. Its token is in BRIGHTRUN_JOB_TOKEN."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from functions.model.job_spec import JobSpec
from gpu_jobs.background import still_working
from gpu_jobs.job import SPEC_UNREADABLE, run_job


def main(arguments: list[str]) -> int:
    """The exit code; see `job.run_job`."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gpu_jobs SPEC.json\n")
        return SPEC_UNREADABLE
    try:
        spec = JobSpec.model_validate_json(Path(arguments[0]).read_text("utf-8"))
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"The job's spec cannot be read: {error}\n")
        return SPEC_UNREADABLE
    return run_job(spec, os.environ.get("BRIGHTRUN_JOB_TOKEN", ""))


def leave(code: int) -> NoReturn:
    """End the process. Where a model is still loading beside a failure, without waiting for it."""
    if still_working():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
