"""The project's app, deployed by the real command line to a control plane on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import modal
import pytest

from functions.model.job_spec import EMBEDDED_MODEL
from infra.modal.compute import ModalCompute
from infra.modal.names import Names, model_folder
from infra.settings import Settings
from tests.modal.control_plane import ControlPlane
from tests.unit.gpu_tiny import tiny_model_folder

_REPOSITORY = Path(__file__).resolve().parents[2]
SECRETS = {"BRIGHTRUN_DATABASE_URL": "postgresql://secret", "BRIGHTRUN_SLACK_BOT_TOKEN": "xoxb-secret"}


@dataclass(frozen=True)
class Cloud:
    """Modal on this machine."""

    plane: ControlPlane
    settings: Settings
    client: modal.Client

    def compute(self, app: str = "") -> ModalCompute:
        """The project's adapter; `app` names another app than the project's."""
        settings = self.settings.model_copy(update={"modal_app": app}) if app else self.settings
        return ModalCompute(Names.of(settings), client=self.client)

    def deploy(self, *arguments: str) -> str:
        """`modal deploy`; gives what it prints."""
        return deploy(self.plane.url, self.settings, *arguments)


def environment(url: str, settings: Settings) -> dict[str, str]:
    """What a person who deploys has in the environment."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(settings.data_dir),
        "PYTHONPATH": str(_REPOSITORY),
        "MODAL_SERVER_URL": url,
        "MODAL_TOKEN_ID": "ak-test",
        "MODAL_TOKEN_SECRET": "as-test",
        "BRIGHTRUN_MODAL_APP": settings.modal_app,
        "BRIGHTRUN_MODAL_SECRET": settings.modal_secret,
        "BRIGHTRUN_MODAL_SERVICE": str(settings.modal_service),
        "BRIGHTRUN_MODAL_MOUNT_ROOT": settings.modal_mount_root,
        "BRIGHTRUN_MODAL_TIMEOUT_SECONDS": str(settings.modal_timeout_seconds),
    }


def deploy(url: str, settings: Settings, *arguments: str) -> str:
    """Run the real command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "modal", "deploy", *arguments],
        env=environment(url, settings),
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(reached: Callable[[], bool], patience: float = 60.0, what: str = "") -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + patience
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def store_model(cloud: Cloud) -> None:
    """Put a tiny model where the embedded one belongs on the models volume."""
    folder = cloud.plane.state.volume(cloud.settings.modal_models_volume).live / model_folder(EMBEDDED_MODEL)
    shutil.copytree(tiny_model_folder(), folder, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The control plane with the project's app."""
    folder = tmp_path_factory.mktemp("modal")
    plane = ControlPlane(folder)
    plane.start()
    settings = Settings(_env_file=None, data_dir=folder / "data", modal_mount_root=str(folder / "vol"), compute="modal")
    settings.data_dir.mkdir()
    before = {name: os.environ.get(name) for name in ("MODAL_SERVER_URL",)}
    os.environ["MODAL_SERVER_URL"] = plane.url
    try:
        client = modal.Client.from_credentials("ak-test", "as-test")
        plane.add_secret(settings.modal_secret, SECRETS)
        deploy(plane.url, settings, "-m", "infra.modal.app")
        deploy(plane.url, settings, "-m", "tests.modal.probe_app")
        yield Cloud(plane, settings, client)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        plane.stop()
