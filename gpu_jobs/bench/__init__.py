"""`python -m gpu_jobs.bench`: speed and memory of this trainer beside plain TRL, on models with random weights."""
