"""What a run came to, and how it is reckoned and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from functions.model.shape import Shape
from gpu_jobs.devices import Device

# Dense bf16 of the makers' data sheets, in FLOP/s; the first name that a card's name contains counts.
_PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "GH200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10G": 70e12,
}
FORMULA = (
    "FLOP a token = 4·(weights of linear layers) + 6·(adapter parameters) + 6·layers·(width of attention)·(length of a "
    "document) + 4·vocabulary·hidden where a token carries loss. Frozen weights need no gradient, so 4 and not 6; "
    "causal attention counts half; recomputation does not count."
)


@dataclass(frozen=True)
class Case:
    """One setting: rows of `length` tokens packed from documents of `document` tokens; all carry loss but the first."""

    shape: str
    length: int
    rank: int
    steps: int

    @property
    def document(self) -> int:
        """Tokens of one document; four fill a row."""
        return self.length // 4


@dataclass(frozen=True)
class Figures:
    """A row of the table. `seconds` are of `tokens` after the warm-up step; `note` says why there are none."""

    case: Case
    engine: str
    tokens: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    flop_per_token: float = 0.0
    device_flop_per_second: float = 0.0
    predicted_bytes: int | None = None
    note: str = ""

    @property
    def tokens_per_second(self) -> float:
        """Over the measured steps."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def utilization(self) -> float:
        """Model FLOP utilisation: useful arithmetic over what the device could have done."""
        if not self.device_flop_per_second:
            return 0.0
        return self.tokens_per_second * self.flop_per_token / self.device_flop_per_second

    @property
    def prediction_error(self) -> float | None:
        """(predicted - measured) / measured peak; None where either is missing."""
        if self.predicted_bytes is None or not self.peak_bytes:
            return None
        return (self.predicted_bytes - self.peak_bytes) / self.peak_bytes

    def as_dict(self) -> dict[str, object]:
        """For the JSON."""
        derived = ("tokens_per_second", "utilization", "prediction_error")
        plain = {name: value for name, value in vars(self).items() if name != "case"}
        return vars(self.case) | plain | {name: getattr(self, name) for name in derived}


def flop_per_token(shape: Shape, case: Case, modules: tuple[str, ...]) -> float:
    """See `FORMULA`."""
    linear = shape.layers * sum(shape.matrices.values())
    adapters = shape.adapter_parameters(case.rank, modules)
    attention = 6 * shape.layers * shape.attention * case.document
    head = 4 * shape.vocabulary * shape.hidden * (case.document - 1) / case.document
    return 4 * linear + 6 * adapters + attention + head


def peak_flop(device: Device) -> tuple[float, str]:
    """The device's peak and where it is from: a data sheet, or for what has none a matrix product of 1024²."""
    for name, peak in _PEAKS.items():
        if device.is_cuda and name in device.name:
            return peak, f"{name}, dense bf16, by its data sheet"
    import time

    first = torch.randn(1024, 1024, device=device.torch_device, dtype=device.dtype)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        first @ first
        if device.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * 1024**3 / best, "measured: the fastest of five products of 1024² matrices"


def table(rows: Sequence[Figures]) -> str:
    """The rows in Markdown."""
    head = "| shape | length | rank | engine | tokens/s | MFU | peak GB | predicted GB | error |"
    lines = [head, "|" + "---|" * 9]
    return "\n".join([*lines, *map(_line, rows)])


def _line(row: Figures) -> str:
    start = f"| {row.case.shape} | {row.case.length} | {row.case.rank} | {row.engine} "
    predicted = "" if row.predicted_bytes is None else _gb(row.predicted_bytes)
    if row.note:
        return f"{start}| {row.note} | | | {predicted} | |"
    error = "" if row.prediction_error is None else f"{row.prediction_error:+.1%}"
    speed = f"{row.tokens_per_second:.0f} | {row.utilization:.1%}"
    return f"{start}| {speed} | {_gb(row.peak_bytes)} | {predicted} | {error} |"


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g}"
