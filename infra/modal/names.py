"""What things are called at Modal, the same where the app is deployed, inside its containers and where it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from infra.settings import Settings

TRAIN = "train"
# Beside the models' folders on their volume: what is still being fetched. No model's folder begins with a dot.
PARTIAL = ".partial"


@dataclass(frozen=True)
class Names:
    """Names of the app, its secret and its volumes, and where the volumes are mounted."""

    app: str
    secret: str
    runs_volume: str
    models_volume: str
    mount_root: str
    timeout_seconds: int

    @classmethod
    def of(cls, settings: Settings) -> Names:
        """As the settings say."""
        return cls(
            app=settings.modal_app,
            secret=settings.modal_secret,
            runs_volume=settings.modal_runs_volume,
            models_volume=settings.modal_models_volume,
            mount_root=settings.modal_mount_root,
            timeout_seconds=settings.modal_timeout_seconds,
        )

    @property
    def runs(self) -> str:
        """Where checkpoints, event spools and artifacts of runs are."""
        return str(PurePosixPath(self.mount_root) / "runs")

    @property
    def models(self) -> str:
        """Where base models are."""
        return str(PurePosixPath(self.mount_root) / "models")

    def work_dir(self, job_id: UUID) -> str:
        """The folder of one job's attempts."""
        return str(PurePosixPath(self.runs) / str(job_id))

    def environment(self) -> dict[str, str | None]:
        """What makes a container's settings give these very names."""
        return {
            "BRIGHTRUN_MODAL_APP": self.app,
            "BRIGHTRUN_MODAL_SECRET": self.secret,
            "BRIGHTRUN_MODAL_RUNS_VOLUME": self.runs_volume,
            "BRIGHTRUN_MODAL_MODELS_VOLUME": self.models_volume,
            "BRIGHTRUN_MODAL_MOUNT_ROOT": self.mount_root,
            "BRIGHTRUN_MODAL_TIMEOUT_SECONDS": str(self.timeout_seconds),
        }


def model_folder(hub_id: str) -> str:
    """A base model's folder on the models volume."""
    return hub_id.replace("/", "--")


def fetch_command(hub_id: str) -> str:
    """What puts a base model onto the models volume."""
    return f"modal run -m infra.modal.models --model {hub_id}"
