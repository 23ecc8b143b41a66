"""The app at Modal: `modal deploy -m infra.modal.app`.

web     the bot over HTTP, ingest and links: one warm container that nobody takes away
tick    the outbox and the reconcile loop, every minute for just under a minute
train   one attempt of a GPU job; may be taken away at any time and is then started again with the same input

With BRIGHTRUN_MODAL_SERVICE=false, for a bot that lives elsewhere, `train` is all there is, and no secret is needed.
"""

from __future__ import annotations

from typing import Any

import modal

from functions import catalog
from infra.modal.images import gpu_image, service_image
from infra.modal.limits import require_service, require_trainer, synchronous
from infra.modal.names import Names
from infra.settings import Settings

NAMES = Names.of(Settings())
# The tier whose GPUs `train` has unless a call asks for others.
DEFAULT_TIER = next(tier for tier in catalog.tiers_of("modal") if tier.offered)
TICK_SECONDS = 60

app = modal.App(NAMES.app, include_source=False)
runs = modal.Volume.from_name(NAMES.runs_volume, create_if_missing=True)
models = modal.Volume.from_name(NAMES.models_volume, create_if_missing=True)
_readable_models = models.with_mount_options(read_only=True)


@app.function(
    image=gpu_image(NAMES),
    gpu=[DEFAULT_TIER.gpu, *DEFAULT_TIER.fallbacks],
    volumes={NAMES.runs: runs, NAMES.models: _readable_models},
    timeout=NAMES.timeout_seconds,
    startup_timeout=1800,
    retries=modal.Retries(max_retries=2, initial_delay=10.0, backoff_coefficient=2.0),
    single_use_containers=True,
)
@synchronous
def train(spec: dict[str, Any], token: str) -> int:
    """One start of an attempt, from its JobSpec and its token; returns the exit code of `gpu_jobs.job.run_job`.

    The token is an argument: it travels with this one call, encrypted like every input, and is in no environment
    that a library, a crash report or a shell in the container would show.

    Raises:
        KeyboardInterrupt: the machine is taken away. Modal starts the same input elsewhere, which goes on.
        TrainerCrashed: anything unforeseen, after which Modal tries again.
    """
    from infra.modal.trainer import run_call

    return run_call(spec, token, secure=runs.commit)


require_trainer(train.info())

if NAMES.service:
    _secret = modal.Secret.from_name(NAMES.secret)
    _service = service_image(NAMES)

    @app.function(
        image=_service,
        secrets=[_secret],
        volumes={NAMES.models: _readable_models},
        min_containers=1,
        nonpreemptible=True,
        timeout=150,
    )
    @modal.concurrent(max_inputs=100)
    @modal.asgi_app(label=NAMES.app)
    def web() -> Any:
        """Slack's signed requests, ingest and links."""
        from infra.modal.service import create_web_app

        return create_web_app()

    @app.function(
        image=_service,
        secrets=[_secret],
        volumes={NAMES.models: _readable_models},
        schedule=modal.Cron("* * * * *"),
        nonpreemptible=True,
        timeout=3 * TICK_SECONDS,
    )
    def tick() -> None:
        """Send what waits in the outbox and bring jobs and machines into agreement, until the next tick begins."""
        from infra.modal.service import run_loops

        run_loops(TICK_SECONDS - 2.0)

    require_service(web.info(), "web")
    require_service(tick.info(), "tick")
