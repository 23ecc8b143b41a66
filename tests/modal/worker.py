"""A Modal worker: runs a call's containers with the SDK's real entrypoint, and starts again what was taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpclib.server
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from grpclib import GRPCError, Status
from modal._utils.grpc_testing import patch_mock_servicer
from modal._utils.grpc_utils import custom_detail_codec
from modal_proto import api_grpc
from modal_proto import api_pb2 as pb

from tests.modal.state import Call, Result, State

_REPOSITORY = Path(__file__).resolve().parents[2]
_HEARTBEAT_SECONDS = 0.5
# A container that dies without a word is started again without end; a test would never come to one.
_STARTS = 12
# A real one takes 30 s.
_GRACE_SECONDS = 30.0


@patch_mock_servicer
class ContainerApi(api_grpc.ModalClientBase):
    """What one container sees of Modal."""

    def __init__(self, state: State, call: Call) -> None:
        self._state = state
        self._call = call
        self._delivered = False

    async def ContainerHello(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(Empty())

    async def ContainerHeartbeat(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        answer = pb.ContainerHeartbeatResponse()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._call.cancelled.wait(), _HEARTBEAT_SECONDS)
            answer.cancel_input_event.input_ids.append(self._call.input_id)
        await stream.send_message(answer)

    async def FunctionGetInputs(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        item = pb.FunctionGetInputsItem(kill_switch=True)
        if not self._delivered:
            item = pb.FunctionGetInputsItem(
                input_id=self._call.input_id,
                function_call_id=self._call.id,
                input=self._call.item.input,
                retry_count=self._call.retries,
            )
        self._delivered = True
        await stream.send_message(pb.FunctionGetInputsResponse(inputs=[item]))

    async def FunctionPutOutputs(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        output = request.outputs[0]
        allowed = self._state.functions[self._call.function_id].retry_policy.retries
        if output.result.status == Result.GENERIC_STATUS_FAILURE and self._call.retries < allowed:
            self._call.retries += 1
        else:
            self._call.finish(output.result, output.data_format)
        await stream.send_message(Empty())

    async def VolumeCommit(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        if request.volume_id not in self._state.volumes:
            raise GRPCError(Status.NOT_FOUND, request.volume_id)
        self._state.volumes[request.volume_id].commit()
        await stream.send_message(pb.VolumeCommitResponse(skip_reload=True))

    async def TaskResult(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        self._call.finish(request.result)
        await stream.send_message(Empty())

    async def ContainerStop(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(Empty())

    async def AuthTokenGet(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(pb.AuthTokenGetResponse(token="x.e30.x"))


def serve(api: Callable[..., Any], *arguments: object) -> Any:
    """An instance; the decorator above has filled in what a class of this protocol lacks, unseen by type checkers."""
    return api(*arguments)


class Worker:
    """Runs calls, one container at a time each."""

    def __init__(self, state: State, folder: Path) -> None:
        self._state = state
        self._folder = folder

    async def run(self, call: Call) -> None:
        """Containers for the call until there is a result."""
        while not call.done.is_set():
            call.starts += 1
            if call.starts > _STARTS:
                call.finish(Result(status=Result.GENERIC_STATUS_INTERNAL_FAILURE, exception="too many starts"))
                return
            await self._start(call)

    async def take_away(self, call: Call) -> None:
        """Preempt the call's container: SIGINT, and SIGKILL if it does not go."""
        process = call.process
        assert process is not None
        process.send_signal(signal.SIGINT)
        await _ended(process, _GRACE_SECONDS)

    async def kill(self, call: Call) -> None:
        """The call's machine dies: what its volumes had not committed is lost."""
        process = call.process
        assert process is not None
        process.kill()
        await process.wait()
        for mount in self._state.functions[call.function_id].volume_mounts:
            if not mount.read_only:
                self._state.volumes[mount.volume_id].lose_the_rest()

    async def _start(self, call: Call) -> None:
        function = self._state.functions[call.function_id]
        folder = self._folder / f"{call.id}-{call.starts}"
        folder.mkdir(parents=True)
        (folder / "arguments").write_bytes(self._arguments(call, function))
        for mount in function.volume_mounts:
            self._state.volumes[mount.volume_id].mount(Path(mount.mount_path))
        server = grpclib.server.Server(
            [serve(ContainerApi, self._state, call)], status_details_codec=custom_detail_codec
        )
        # A socket's path may have a hundred characters, a test's folder has more.
        link = Path(tempfile.gettempdir()) / f"brightrun-{os.getpid()}-{call.id}-{call.starts}.sock"
        await server.start(path=str(link))
        call.logs.append(folder / "output.txt")
        try:
            with call.logs[-1].open("wb") as output:
                call.process = await asyncio.create_subprocess_exec(
                    # What a shell starts in the background ignores SIGINT, and so would all that it starts.
                    "env",
                    "--default-signal=INT",
                    sys.executable,
                    "-W",
                    "ignore",
                    "-m",
                    "modal._container_entrypoint",
                    env=self._environment(call, function, folder, link),
                    cwd=folder,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            if not await _ended(call.process, self._timeout(call, function)):
                call.finish(Result(status=Result.GENERIC_STATUS_TIMEOUT, exception="timed out"))
        finally:
            server.close()
            link.unlink(missing_ok=True)

    def _timeout(self, call: Call, function: pb.Function) -> float:
        options = self._state.options.get(call.function_id)
        return float(options.timeout_secs if options and options.timeout_secs else function.timeout_secs)

    def _arguments(self, call: Call, function: pb.Function) -> bytes:
        app_id = self._state.handles[call.function_id][1]
        layout = pb.AppLayout()
        layout.CopyFrom(self._state.layouts[app_id])
        for needed in function.object_dependencies:
            layout.objects.append(pb.Object(object_id=needed.object_id))
        arguments = pb.ContainerArguments(
            task_id=f"ta-{call.id}-{call.starts}",
            function_id=call.function_id,
            app_id=app_id,
            function_def=function,
            app_layout=layout,
            environment_name="main",
        )
        return bytes(arguments.SerializeToString())

    def _environment(self, call: Call, function: pb.Function, folder: Path, link: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(_REPOSITORY),
            "OMP_NUM_THREADS": "1",
            **self._state.environment_of(function),
            "MODAL_SERVER_URL": f"unix://{link}",
            "MODAL_TASK_ID": f"ta-{call.id}-{call.starts}",
            "MODAL_IS_REMOTE": "1",
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(folder / "arguments"),
        }


async def _ended(process: asyncio.subprocess.Process, patience: float) -> bool:
    """Whether it ended in time; if not, it is killed."""
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return True
