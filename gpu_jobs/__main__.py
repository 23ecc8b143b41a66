"""`python -m gpu_jobs SPEC.json`: run one attempt of a job. Its token is in BRIGHTRUN_JOB_TOKEN."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import ValidationError

from functions.model.job_spec import JobSpec
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
