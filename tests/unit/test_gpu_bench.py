"""The measurement of speed and memory, run for real on a tiny shape: its figures hang together and are not canned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from functions.model.shape import Shape
from gpu_jobs.bench.__main__ import main
from gpu_jobs.bench.figures import Case, Figures, flop_per_token, table
from gpu_jobs.bench.ours import MODULES
from gpu_jobs.bench.shapes import SHAPES, make_model
from gpu_jobs.devices import Device

CPU = Device("cpu", "test", torch.float32, None)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    options = ["--shape", "tiny", "--device", "cpu", "--lengths", "256", "512", "--ranks", "4", "--steps", "3"]
    assert main([*options, "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def test_both_engines_run_every_case_and_train_the_same_tokens(measured: dict[str, Any]) -> None:
    rows = measured["rows"]
    assert [(row["engine"], row["length"]) for row in rows] == [
        ("Bright Run", 256), ("TRL", 256), ("Bright Run", 512), ("TRL", 512),
    ]  # fmt: skip
    for row in rows:
        assert row["tokens"] == 2 * row["length"]  # three steps, of which the first warms up
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"])
        assert not row["note"]


def test_utilization_follows_from_speed_and_peak(measured: dict[str, Any]) -> None:
    for row in measured["rows"]:
        assert row["utilization"] == pytest.approx(
            row["tokens_per_second"] * row["flop_per_token"] / measured["peak_flop"]
        )
        assert 0 < row["utilization"] < 1.5  # the peak of a shared CPU is itself a measurement


def test_longer_rows_take_more_memory_and_the_estimate_knows(measured: dict[str, Any]) -> None:
    short, long = (row for row in measured["rows"] if row["engine"] == "Bright Run")
    assert long["peak_bytes"] > 1.5 * short["peak_bytes"]
    for row in (short, long):
        error = (row["predicted_bytes"] - row["peak_bytes"]) / row["peak_bytes"]
        assert row["prediction_error"] == pytest.approx(error)
        assert abs(error) < 0.1


def test_model_is_made_in_nf4_and_no_layer_stays_in_full_precision() -> None:
    from bitsandbytes.nn import Linear4bit

    model = make_model(SHAPES["tiny"], CPU)
    layers: list[Any] = [item for item in model.model.layers.modules() if isinstance(item, torch.nn.Linear)]
    assert len(layers) == 7 * SHAPES["tiny"].layers
    assert all(isinstance(item, Linear4bit) and item.weight.dtype is torch.uint8 for item in layers)
    assert not any(weight.is_meta for weight in [*model.parameters(), *model.buffers()])
    assert len({item.weight.quant_state.absmax.sum().item() for item in layers}) > 1


def test_flop_of_a_token_is_that_of_a_counted_pass() -> None:
    """Forward by torch's own counter, of a model without adapters: half of the whole, of attention a third."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import LlamaForCausalLM

    from gpu_jobs.bench.shapes import config_of

    shape, case = SHAPES["tiny"], Case("tiny", 256, 4, 1)
    model = LlamaForCausalLM(config_of(shape))
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.ones(1, case.document, dtype=torch.long))

    known = Shape(128, 4, 320, 512, 4, 128, 64, tied=False)
    without_adapters = flop_per_token(known, case, ())
    # The counter takes attention as a whole square, of which causality needs half, and the head for every token.
    attention = 2 * known.layers * known.attention * case.document
    head = 2 * known.vocabulary * known.hidden / case.document
    forward = without_adapters / 2 - attention / 2 + attention + head
    assert counter.get_total_flops() / case.document == pytest.approx(forward, rel=1e-6)
    assert flop_per_token(known, case, MODULES) - without_adapters == 6 * known.adapter_parameters(4, MODULES)


def test_without_a_gpu_it_says_how_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["--shape", "70b"]) == 2
    assert "--shape tiny --device cpu" in capsys.readouterr().err


def test_case_that_did_not_fit_has_a_row_that_says_so(tmp_path: Path) -> None:
    rows = [Figures(Case("70b", 8192, 32, 3), "TRL", note="out of memory", predicted_bytes=90 * 10**9)]
    assert "| 70b | 8192 | 32 | TRL | out of memory |" in table(rows)
