"""What is installed in the containers is what the code that runs there imports, also where it imports it late."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from infra.modal.images import GPU_PACKAGES, service_requirements
from tests.modal.conftest import Cloud

_REPOSITORY = Path(__file__).resolve().parents[2]
_ROOMS = ("bot", "blocks", "functions", "gpu_jobs", "infra", "reports")
# Bench tools are run by hand, from a checkout.
_TRAINER = [path for path in sorted((_REPOSITORY / "gpu_jobs").glob("*.py"))]
# The container finds `train` in this module; what the service's own functions import, it never does.
_APP = _REPOSITORY / "infra/modal/app.py"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: Iterable[str]) -> set[str]:
    """The distributions that installing these brings, themselves included."""
    found: set[str] = set()
    todo = [Requirement(name) for name in names]
    while todo:
        wanted = todo.pop()
        name = _plain(wanted.name)
        if name in found and not wanted.extras:
            continue
        found.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *wanted.extras}):
                try:
                    metadata.distribution(needed.name)
                except metadata.PackageNotFoundError:
                    continue
                if _plain(needed.name) not in found:
                    todo.append(needed)
    return found


def _imports(path: Path, *, late: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module(name: str) -> Path | None:
    path = _REPOSITORY.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported_by_the_trainer() -> dict[str, Path]:
    """Every outside package that the trainer's code imports, and a file that does."""
    outside: dict[str, Path] = {}
    todo, seen = [*_TRAINER, _APP, _REPOSITORY / "infra/modal/trainer.py"], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _imports(path, late=path != _APP):
            top = name.partition(".")[0]
            if top in _ROOMS:
                module = _module(name)
                todo += [module] if module else []
            elif top not in sys.stdlib_module_names:
                outside.setdefault(top, path)
    return outside


def test_the_gpu_image_has_everything_that_the_trainer_imports() -> None:
    installed = closure((*GPU_PACKAGES, "modal"))
    distributions = metadata.packages_distributions()
    imported = imported_by_the_trainer()
    assert {"torch", "trl", "transformers", "huggingface_hub", "bitsandbytes"} <= imported.keys()
    missing = {
        name: path.name
        for name, path in imported.items()
        if not {_plain(item) for item in distributions.get(name, [name])} & installed
    }
    assert missing == {}


def test_the_service_s_image_does_not_bring_torch_by_a_back_door() -> None:
    installed = closure(service_requirements())
    assert "slack-bolt" in installed
    assert "torch" not in installed


def test_the_gpu_image_is_built_with_them_and_with_a_compiler(cloud: Cloud) -> None:
    # Calls of it with options of their own may be there as well; they have its image.
    train = next(function for function in cloud.plane.state.functions.values() if function.single_use_containers)
    recipe = "\n".join(cloud.plane.state.recipes[train.image_id])
    for package in GPU_PACKAGES:
        assert f"{package}==" in recipe, package
    assert re.search(r"apt-get install.*\bgcc\b.*\blibc6-dev\b", recipe), recipe
    assert metadata.version("nvidia-ml-py") in recipe
