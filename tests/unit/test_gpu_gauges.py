"""How busy a GPU is, where that can be told and where it cannot."""

from __future__ import annotations

import logging

import pytest
import torch
from pynvml import NVMLError_NotSupported

from gpu_jobs.devices import Device, Gauges

GPU = Device("cuda", "a card on paper", torch.bfloat16, None)


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("nvidia-ml-py does not seem to be installed"), NVMLError_NotSupported()]
)
def test_why_it_cannot_be_told_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fails() -> int:
        raise error

    monkeypatch.setattr(torch.cuda, "utilization", fails)
    gauges = Gauges(GPU)
    with caplog.at_level(logging.WARNING):
        assert [gauges.utilization() for _ in range(3)] == [None] * 3
    (said,) = caplog.messages
    assert str(error) in said
    assert "the run goes on without" in said


def test_torch_finds_nvml() -> None:
    assert torch.cuda._HAS_PYNVML
