"""What the control plane knows: deployed functions, calls, volumes, secrets, images."""

from __future__ import annotations

import asyncio
import itertools
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modal_proto import api_pb2 as pb

Result = pb.GenericResult


@dataclass
class Call:
    """A spawned input, the containers that were started for it, and what came out."""

    id: str
    function_id: str
    item: pb.FunctionPutInputsItem
    done: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    output: pb.FunctionGetOutputsItem | None = None
    expired: bool = False
    retries: int = 0
    starts: int = 0
    process: asyncio.subprocess.Process | None = None
    logs: list[Path] = field(default_factory=list)

    @property
    def input_id(self) -> str:
        """The input's id, the same in every container."""
        return f"in-{self.id}"

    def finish(self, result: Result, data_format: pb.DataFormat.ValueType = pb.DATA_FORMAT_PICKLE) -> None:
        """Keep the first result."""
        if self.output is None:
            self.output = pb.FunctionGetOutputsItem(
                input_id=self.input_id, idx=0, result=result, data_format=data_format
            )
            self.done.set()


class VolumeFolder:
    """A volume: what containers see, and what was committed last. A machine that dies takes the rest with it."""

    def __init__(self, folder: Path) -> None:
        self.live = folder / "live"
        self._committed = folder / "committed"
        self.live.mkdir(parents=True)
        self.commits = 0
        self.open_files = False
        self._views: list[Path] = []

    def commit(self) -> None:
        """Keep what is there now."""
        stage = self._committed.with_name("stage")
        shutil.rmtree(stage, ignore_errors=True)
        shutil.copytree(self.live, stage, ignore_dangling_symlinks=True)
        shutil.rmtree(self._committed, ignore_errors=True)
        stage.rename(self._committed)
        self.commits += 1

    def lose_the_rest(self) -> None:
        """Go back to what was committed."""
        for entry in self.live.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if self._committed.exists():
            shutil.copytree(self._committed, self.live, dirs_exist_ok=True)

    def mount_in_a_warm_container(self, path: Path) -> None:
        """Make visible at a path what is there now; what comes later is seen after a reload."""
        path.mkdir(parents=True)
        self._views.append(path)
        self.reload()

    def reload(self) -> None:
        """Let warm containers see what is there now."""
        for view in self._views:
            shutil.copytree(self.live, view, dirs_exist_ok=True)

    def mount(self, path: Path) -> None:
        """Make it visible at a path, as a container would see it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.symlink_to(self.live)


class State:
    """Everything by id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self.apps: dict[str, str] = {}
        self.layouts: dict[str, pb.AppLayout] = {}
        self.functions: dict[str, pb.Function] = {}
        self.data: dict[str, pb.FunctionData] = {}
        self.handles: dict[str, tuple[pb.FunctionHandleMetadata, str]] = {}
        self.options: dict[str, pb.FunctionOptions] = {}
        self.calls: dict[str, Call] = {}
        self.volumes: dict[str, VolumeFolder] = {}
        self.images: dict[str, dict[str, str]] = {}
        self.recipes: dict[str, list[str]] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self._named: dict[tuple[str, str], str] = {}

    def new_id(self, prefix: str) -> str:
        """Another id."""
        return f"{prefix}-{next(self._numbers)}"

    def named(self, prefix: str, name: str) -> str:
        """The id of a named thing, a new one at the first call; nameless things are always new."""
        if not name:
            return self.new_id(prefix)
        return self._named.setdefault((prefix, name), self.new_id(prefix))

    def known(self, prefix: str, name: str) -> bool:
        """Whether there is a thing of that name."""
        return (prefix, name) in self._named

    def volume(self, name: str) -> VolumeFolder:
        """A named volume, made at the first call."""
        volume_id = self.named("vo", name)
        if volume_id not in self.volumes:
            self.volumes[volume_id] = VolumeFolder(self._folder / "volumes" / name)
        return self.volumes[volume_id]

    def keep_image(self, image: pb.Image) -> str:
        """A built image: of its layers only the commands are kept, and the environment that they make."""
        environment: dict[str, str] = {}
        for base in image.base_images:
            environment |= self.images.get(base.image_id, {})
        image_id = self.new_id("im")
        self.images[image_id] = environment | _environment(image.dockerfile_commands)
        before = [line for base in image.base_images for line in self.recipes.get(base.image_id, [])]
        self.recipes[image_id] = [*before, *image.dockerfile_commands]
        return image_id

    def environment_of(self, function: pb.Function) -> dict[str, str]:
        """What a function's containers find in their environment."""
        environment = dict(self.images.get(function.image_id, {}))
        for secret_id in function.secret_ids:
            environment |= self.secrets.get(secret_id, {})
        return environment


def _environment(commands: Sequence[str]) -> dict[str, str]:
    found = {}
    for command in commands:
        if command.startswith("ENV "):
            name, _, value = command.removeprefix("ENV ").partition("=")
            found[name] = "".join(shlex.split(value))
    return found
