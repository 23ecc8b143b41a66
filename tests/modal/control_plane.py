"""A control plane for Modal's own SDK: takes deployments from the real command line and runs the calls.

It answers what the SDK 1.6 asks for, and refuses what Modal's servers refuse and the SDK does not check.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import grpclib.server
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from grpclib import GRPCError, Status
from modal._utils.grpc_testing import patch_mock_servicer
from modal._utils.grpc_utils import custom_detail_codec
from modal_proto import api_grpc
from modal_proto import api_pb2 as pb

from tests.modal.state import Call, Result, State
from tests.modal.worker import Worker, serve

_T = TypeVar("_T")
_BUILDER = "2026.10"


def _refuse(function: pb.Function) -> None:
    """What Modal's servers refuse."""
    if not 1 <= function.timeout_secs <= 86_400:
        raise GRPCError(Status.INVALID_ARGUMENT, "timeout must be between 1 second and 24 hours")
    if function.retry_policy.retries > 10:
        raise GRPCError(Status.INVALID_ARGUMENT, "at most 10 retries")
    if function.resources.gpu_config.count and function.scheduler_placement.nonpreemptible:
        raise GRPCError(Status.INVALID_ARGUMENT, "nonpreemptible is not supported for GPUs")


def _handle(function: pb.Function, function_id: str, app_id: str) -> pb.FunctionHandleMetadata:
    return pb.FunctionHandleMetadata(
        function_name=function.function_name,
        function_type=function.function_type,
        function_schema=function.function_schema,
        app_id=app_id,
        supported_input_formats=function.supported_input_formats,
        supported_output_formats=function.supported_output_formats,
        definition_id=f"de-{function_id}",
        web_url="https://example.modal.run" if function.webhook_config.type else "",
    )


@patch_mock_servicer
class Api(api_grpc.ModalClientBase):
    """What the command line and the SDK's clients call."""

    def __init__(self, state: State, worker: Worker) -> None:
        self._state = state
        self._worker = worker
        self._runs: set[asyncio.Task[None]] = set()
        self.trouble: Status | None = None
        self.bill: list[pb.WorkspaceBillingReportItem] | None = None

    # Deploying

    async def ClientHello(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        if stream.metadata.get("x-modal-token-secret") == "refused":
            raise GRPCError(Status.UNAUTHENTICATED, "Token validation failed")
        await stream.send_message(pb.ClientHelloResponse())

    async def EnvironmentGetOrCreate(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        settings = pb.EnvironmentSettings(image_builder_version=_BUILDER)
        metadata = pb.EnvironmentMetadata(name="main", settings=settings)
        await stream.send_message(pb.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata))

    async def WorkspaceNameLookup(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(pb.WorkspaceNameLookupResponse(username="brightrun-team"))

    async def AppGetByDeploymentName(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        await stream.send_message(pb.AppGetByDeploymentNameResponse(app_id=self._state.apps.get(request.name, "")))

    async def AppGetLayout(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        await stream.send_message(pb.AppGetLayoutResponse(app_layout=self._state.layouts.get(request.app_id)))

    async def AppCreate(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(pb.AppCreateResponse(app_id=self._state.new_id("ap"), app_page_url="http://modal"))

    async def AppHeartbeat(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(Empty())

    async def AppClientDisconnect(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(Empty())

    async def SecretGetOrCreate(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        if request.deployment_name and not self._state.known("st", request.deployment_name):
            raise GRPCError(Status.NOT_FOUND, f"Secret '{request.deployment_name}' not found")
        secret_id = self._state.named("st", request.deployment_name)
        self._state.secrets.setdefault(secret_id, dict(request.env_dict))
        await stream.send_message(pb.SecretGetOrCreateResponse(secret_id=secret_id))

    async def VolumeGetOrCreate(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        name = request.deployment_name
        if not request.object_creation_type and not self._state.known("vo", name):
            raise GRPCError(Status.NOT_FOUND, f"Volume '{name}' not found")
        self._state.volume(name)
        metadata = pb.VolumeMetadata(version=request.version, name=name)
        await stream.send_message(
            pb.VolumeGetOrCreateResponse(
                volume_id=self._state.named("vo", name), version=request.version, metadata=metadata
            )
        )

    async def VolumeListFiles(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        folder = self._state.volumes[request.volume_id].live / request.path.strip("/")
        kind = {True: pb.FileEntry.FileType.DIRECTORY, False: pb.FileEntry.FileType.FILE}
        entries = [pb.FileEntry(path=path.name, type=kind[path.is_dir()]) for path in sorted(folder.iterdir())]
        await stream.send_message(pb.VolumeListFilesResponse(entries=entries))

    async def VolumeReload(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        volume = self._state.volumes[request.volume_id]
        if volume.open_files:
            raise GRPCError(Status.FAILED_PRECONDITION, "there are open files preventing the operation")
        volume.reload()
        await stream.send_message(Empty())

    async def MountGetOrCreate(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        mount_id = self._state.named("mo", request.deployment_name)
        await stream.send_message(
            pb.MountGetOrCreateResponse(mount_id=mount_id, handle_metadata=pb.MountHandleMetadata())
        )

    async def MountBatchedCheckExistence(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(pb.MountBatchedCheckExistenceResponse())

    async def MountPutFile(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(pb.MountPutFileResponse(exists=True))

    async def ImageGetOrCreate(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        await stream.send_message(
            pb.ImageGetOrCreateResponse(
                image_id=self._state.keep_image(request.image),
                result=Result(status=Result.GENERIC_STATUS_SUCCESS),
                metadata=pb.ImageMetadata(image_builder_version=_BUILDER),
            )
        )

    async def FunctionPrecreate(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        function_id = request.existing_function_id or self._state.new_id("fu")
        metadata = pb.FunctionHandleMetadata(
            function_name=request.function_name,
            function_type=request.function_type,
            function_schema=request.function_schema,
            app_id=request.app_id,
        )
        await stream.send_message(pb.FunctionPrecreateResponse(function_id=function_id, handle_metadata=metadata))

    async def FunctionCreate(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        function_id = request.existing_function_id or self._state.new_id("fu")
        if request.HasField("function"):
            function = request.function
            data = pb.FunctionData(
                function_name=function.function_name,
                timeout_secs=function.timeout_secs,
                webhook_config=function.webhook_config,
                schedule=function.schedule if function.HasField("schedule") else None,
                ranked_functions=[pb.FunctionData.RankedFunction(function=function)],
            )
        else:
            data = request.function_data
            function = data.ranked_functions[0].function
        _refuse(function)
        handle = _handle(function, function_id, request.app_id)
        self._state.functions[function_id] = function
        self._state.data[function_id] = data
        self._state.handles[function_id] = (handle, request.app_id)
        await stream.send_message(
            pb.FunctionCreateResponse(function_id=function_id, handle_metadata=handle, function_data=data)
        )

    async def AppPublish(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        layout = pb.AppLayout(function_ids=request.function_ids)
        for function_id in request.function_ids.values():
            handle = self._state.handles[function_id][0]
            layout.objects.append(pb.Object(object_id=function_id, function_handle_metadata=handle))
        self._state.apps[request.name] = request.app_id
        self._state.layouts[request.app_id] = layout
        await stream.send_message(pb.AppPublishResponse(url="http://modal/app", deployed_at=time.time()))

    # Calling

    async def FunctionGet(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        app_id = self._state.apps.get(request.app_name, "")
        layout = self._state.layouts.get(app_id, pb.AppLayout())
        function_id = layout.function_ids.get(request.object_tag, "")
        if not function_id:
            raise GRPCError(Status.NOT_FOUND, f"no {request.app_name}/{request.object_tag}")
        await stream.send_message(
            pb.FunctionGetResponse(
                function_id=function_id,
                handle_metadata=self._state.handles[function_id][0],
                function=self._state.data[function_id],
            )
        )

    async def FunctionBindParams(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        bound = self._state.new_id("fu")
        tables: tuple[dict[str, Any], ...] = (self._state.functions, self._state.data, self._state.handles)
        for table in tables:
            table[bound] = table[request.function_id]
        self._state.options[bound] = request.function_options
        await stream.send_message(
            pb.FunctionBindParamsResponse(bound_function_id=bound, handle_metadata=self._state.handles[bound][0])
        )

    async def FunctionMap(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        call = Call(self._state.new_id("fc"), request.function_id, request.pipelined_inputs[0])
        self._state.calls[call.id] = call
        task = asyncio.ensure_future(self._worker.run(call))
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        await stream.send_message(
            pb.FunctionMapResponse(
                function_call_id=call.id,
                retry_policy=self._state.functions[request.function_id].retry_policy,
                pipelined_inputs=[pb.FunctionPutInputsResponseItem(idx=0, input_id=call.input_id)],
            )
        )

    async def FunctionGetOutputs(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        call = self._call(request.function_call_id)
        if call.expired:
            await stream.send_message(pb.FunctionGetOutputsResponse())
            return
        try:
            await asyncio.wait_for(call.done.wait(), min(request.timeout, 55) or 0.001)
        except TimeoutError:
            await stream.send_message(pb.FunctionGetOutputsResponse(num_unfinished_inputs=1))
        else:
            outputs = [call.output] if call.output else []
            await stream.send_message(pb.FunctionGetOutputsResponse(outputs=outputs))

    async def FunctionGetCurrentStats(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        waiting = sum(call.process is None and not call.done.is_set() for call in self._state.calls.values())
        await stream.send_message(pb.FunctionStats(backlog=waiting))

    async def FunctionCallCancel(self, stream: Any) -> None:  # noqa: N802
        request = await stream.recv_message()
        call = self._call(request.function_call_id)
        call.finish(Result(status=Result.GENERIC_STATUS_TERMINATED, exception="Function call was cancelled by user"))
        if not request.terminate_containers:
            call.cancelled.set()
        elif call.process and call.process.returncode is None:
            task = asyncio.ensure_future(self._worker.take_away(call))
            self._runs.add(task)
            task.add_done_callback(self._runs.discard)
        await stream.send_message(Empty())

    async def WorkspaceBillingReport(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        if self.bill is None:
            raise GRPCError(Status.PERMISSION_DENIED, "Billing reports need a Team or Enterprise plan")
        for item in self.bill:
            await stream.send_message(item)

    def _call(self, call_id: str) -> Call:
        if self.trouble is not None:
            raise GRPCError(self.trouble, "not now")
        if call_id not in self._state.calls:
            raise GRPCError(Status.NOT_FOUND, f"no function call {call_id}")
        return self._state.calls[call_id]


class ControlPlane:
    """The control plane in a thread of its own, over real HTTP/2."""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)
        self._worker = Worker(self.state, folder / "containers")
        self.api: Api = serve(Api, self.state, self._worker)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modal", daemon=True)
        self._server: grpclib.server.Server | None = None
        self.url = ""

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self.url = self._do(self._listen())

    def stop(self) -> None:
        """End every container and stop listening."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def add_secret(self, name: str, values: dict[str, str]) -> None:
        """What `modal secret create` does."""
        self.state.secrets[self.state.named("st", name)] = values

    def call(self, call_id: str) -> Call:
        """A call by its id."""
        return self.state.calls[call_id]

    def take_away(self, call_id: str) -> None:
        """Preempt the call's container and wait until it is gone."""
        self._do(self._worker.take_away(self.call(call_id)))

    def kill(self, call_id: str) -> None:
        """Let the call's machine die, uncommitted files and all."""
        self._do(self._worker.kill(self.call(call_id)))

    def log(self, call_id: str) -> str:
        """What the call's containers printed."""
        return "\n".join(path.read_text("utf-8", errors="replace") for path in self.call(call_id).logs)

    async def _listen(self) -> str:
        self._server = grpclib.server.Server([self.api], status_details_codec=custom_detail_codec)
        await self._server.start("127.0.0.1", 0)
        sockets = self._server._server.sockets  # type: ignore[union-attr]
        return f"http://127.0.0.1:{sockets[0].getsockname()[1]}"

    async def _end(self) -> None:
        for call in self.state.calls.values():
            call.finish(Result(status=Result.GENERIC_STATUS_TERMINATED, exception="the plane ends"))
            if call.process and call.process.returncode is None:
                call.process.kill()
                await call.process.wait()
        if self._server:
            self._server.close()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)
