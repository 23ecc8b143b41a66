"""The `Compute` port over Modal: what each end of a call looks like to the reconciler."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import modal
import pytest
from grpclib import Status
from modal import exception as modal_errors
from modal._utils.grpc_utils import RetryTimeoutError

from functions.errors import InvalidInput, Unavailable
from functions.model.job_spec import EMBEDDED_MODEL, JobSpec
from functions.ports import CallState
from infra.modal.compute import ModalCompute
from infra.modal.names import Names
from tests.modal.conftest import Cloud, until
from tests.unit.gpu_tiny import job_spec

TIER = "modal-h100"


def _spec(folder: Path, what: str) -> JobSpec:
    return job_spec(folder / "job", job_name=what, job_id=uuid4(), base_model_path="unused")


def _launch(
    cloud: Cloud, folder: Path, what: str, compute: ModalCompute | None = None, *, tier: str = TIER
) -> tuple[ModalCompute, str]:
    compute = compute or cloud.compute("probe")
    return compute, compute.launch(_spec(folder, what), token="the token", tier=tier)


def _ended(compute: ModalCompute, call_id: str) -> CallState:
    until(lambda: not compute.poll(call_id).running, what=call_id)
    return compute.poll(call_id)


def test_a_call_runs_and_ends_with_its_exit_code(cloud: Cloud, tmp_path: Path) -> None:
    compute, call_id = _launch(cloud, tmp_path, "end 75")

    started = time.monotonic()
    assert compute.poll(call_id).running
    assert time.monotonic() - started < 1

    assert _ended(compute, call_id) == CallState(False, 75, "stopped to go on in a new call")
    assert cloud.compute("probe").poll(call_id).exit_code == 75  # another process asks by the stored id
    assert (tmp_path / "job/starts").read_text() == "the token\n"


def test_a_cancelled_call_is_over_and_its_machine_gone(cloud: Cloud, tmp_path: Path) -> None:
    compute, call_id = _launch(cloud, tmp_path, "sleep 600")
    until((tmp_path / "job/starts").exists)
    assert not compute.waits_for_gpu(call_id)

    compute.cancel(call_id)

    assert compute.poll(call_id) == CallState(False, None, "cancelled at Modal")
    process = cloud.plane.call(call_id).process
    assert process is not None
    until(lambda: process.returncode is not None, 10)
    assert cloud.plane.call(call_id).starts == 1
    compute.cancel(call_id)  # once more changes nothing


def test_a_call_without_a_machine_is_known_to_wait(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_machine(_: object) -> None:
        return

    monkeypatch.setattr(cloud.plane.api._worker, "run", no_machine)
    compute, call_id = _launch(cloud, tmp_path, "true")
    assert compute.poll(call_id).running
    assert compute.waits_for_gpu(call_id)
    compute.cancel(call_id)
    assert not compute.waits_for_gpu(call_id)


def test_an_exception_is_tried_again_by_modal(cloud: Cloud, tmp_path: Path) -> None:
    compute, call_id = _launch(cloud, tmp_path, "fail-once")

    assert _ended(compute, call_id).exit_code == 0
    assert (cloud.plane.call(call_id).starts, cloud.plane.call(call_id).retries) == (2, 1)


def test_an_exception_that_stays_ends_the_call(cloud: Cloud, tmp_path: Path) -> None:
    compute, call_id = _launch(cloud, tmp_path, "raise")

    state = _ended(compute, call_id)

    assert state.exit_code is None
    assert state.note == "the trainer crashed: OSError: the disk on the moon"
    assert cloud.plane.call(call_id).starts == 3


def test_a_container_that_cannot_start_ends_the_call(cloud: Cloud, tmp_path: Path) -> None:
    """Nothing tells a container's own exception from trouble on the way but Modal's mark on it."""
    cloud.deploy("-m", "tests.modal.broken_app")
    compute, call_id = _launch(cloud, tmp_path, "true", cloud.compute("broken"))

    state = _ended(compute, call_id)

    assert state == CallState(
        False, None, "its container failed: ModuleNotFoundError: No module named 'not_in_the_image'"
    )


def test_an_exception_that_cannot_be_read_here_ends_the_call(cloud: Cloud, tmp_path: Path) -> None:
    compute, call_id = _launch(cloud, tmp_path, "raise-unknown")

    state = _ended(compute, call_id)

    assert not state.running
    assert "its container failed: ExecutionError: Could not deserialize remote exception" in state.note


def test_a_call_past_its_time_is_over(cloud: Cloud, tmp_path: Path) -> None:
    names = Names.of(cloud.settings.model_copy(update={"modal_app": "probe", "modal_timeout_seconds": 2}))
    compute, call_id = _launch(cloud, tmp_path, "sleep 600", ModalCompute(names, client=cloud.client))

    assert _ended(compute, call_id) == CallState(False, None, "Modal ended it at its time limit")


def test_expired_and_unknown_calls_are_over(cloud: Cloud, tmp_path: Path) -> None:
    compute, call_id = _launch(cloud, tmp_path, "end 0")
    _ended(compute, call_id)
    cloud.plane.call(call_id).expired = True

    assert compute.poll(call_id) == CallState(False, None, "its result expired: it ended more than seven days ago")
    assert compute.poll("fc-404") == CallState(False, None, "Modal does not know this call")
    compute.cancel("fc-404")


@pytest.mark.parametrize("trouble", [Status.RESOURCE_EXHAUSTED, Status.PERMISSION_DENIED, Status.UNAUTHENTICATED])
def test_trouble_on_the_way_says_nothing_about_the_call(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, trouble: Status
) -> None:
    monkeypatch.setattr(cloud.plane.api, "trouble", trouble)

    state = cloud.compute().poll("fc-1")
    assert state.running
    assert "Modal could not be asked" in state.note
    with pytest.raises(Unavailable, match=r"could not be reached|refused|no room"):
        cloud.compute().cancel("fc-1")


@pytest.mark.parametrize(
    "trouble",
    [
        RetryTimeoutError(ConnectionError("no route")),
        modal_errors.TimeoutError("deadline"),
        modal_errors.ExecutionError("loop closed"),
        modal_errors.ClientClosed("closed"),
        RuntimeError("Event loop is closed"),
        OSError("gaierror"),
    ],
)
def test_trouble_of_the_client_is_no_end_of_a_call(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise trouble

    for method in ("get", "cancel"):
        monkeypatch.setattr(modal.FunctionCall, method, fails)
    monkeypatch.setattr(modal.Function, "get_current_stats", fails)
    assert cloud.compute().poll("fc-1").running
    assert "fc-1" in caplog.text
    with pytest.raises(Unavailable):
        cloud.compute().cancel("fc-1")
    with pytest.raises(Unavailable):
        cloud.compute().waits_for_gpu("fc-1")


def test_launching_needs_the_app_and_a_tier_of_modals(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"modal deploy -m infra\.modal\.app"):
        cloud.compute("nowhere").launch(_spec(tmp_path, ""), token="t", tier=TIER)
    for tier in ("local", "modal-h100-on-demand"):
        with pytest.raises(InvalidInput, match="cannot be had at Modal"):
            cloud.compute().launch(_spec(tmp_path, ""), token="t", tier=tier)


def test_the_call_is_given_its_gpu_and_time(cloud: Cloud, tmp_path: Path) -> None:
    for tier, gpu in (("modal-a100-80gb", "A100-80GB"), ("modal-b200", "B200"), ("modal-h100", "")):
        compute, call_id = _launch(cloud, tmp_path, "end 0", tier=tier)
        options = cloud.plane.state.options[cloud.plane.call(call_id).function_id]

        # What is deployed has an H100; for another tier the call names the GPU itself.
        assert options.resources.gpu_config.gpu_type == gpu
        assert options.timeout_secs == 86_400
        _ended(compute, call_id)


def test_models_are_found_on_the_volume(cloud: Cloud) -> None:
    models = cloud.plane.state.volume(cloud.settings.modal_models_volume).live
    (models / "HuggingFaceTB--SmolLM2-135M-Instruct").mkdir(exist_ok=True)
    compute = cloud.compute()

    path = compute.model_path(EMBEDDED_MODEL)

    assert path == f"{cloud.settings.modal_mount_root}/models/HuggingFaceTB--SmolLM2-135M-Instruct"
    assert compute.model_path("meta-llama/Meta-Llama-3-70B-Instruct") is None
