"""A step on CUDA's path: the kernels that a GPU would run, and the memory that the estimate foretells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_jobs.bench.figures import Case, flop_per_token
from gpu_jobs.bench.ours import MODULES
from gpu_jobs.bench.shapes import BenchShape, config_of
from gpu_jobs.engine import shape_of
from tests.rehearsal.pretended import compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler")

_LAYERS, LENGTH = 4, 2048
SMALL: dict[str, Any] = {
    "name": "small", "hidden": 2048, "intermediate": 8192, "layers": _LAYERS, "heads": 32, "kv_heads": 8,
    "vocabulary": 32_000,
}  # fmt: skip
# Keys and values as wide as queries, a narrow inner layer, a wide vocabulary.
OTHER = SMALL | {"intermediate": 5632, "kv_heads": 32, "vocabulary": 128_256}
CASES: dict[str, dict[str, Any]] = {
    "full": {"engine": {"activation_checkpointing": True}},
    "none": {"engine": {"activation_checkpointing": False}},
    "selective": {"engine": {"activation_checkpointing": "selective"}},
    "dropout, full": {"dropout": 0.1, "engine": {"activation_checkpointing": True}},
    "dropout, none": {"dropout": 0.1, "engine": {"activation_checkpointing": False}},
    "dropout, selective": {"dropout": 0.1, "engine": {"activation_checkpointing": "selective"}},
    "bf16, full": {"engine": {"quantization": "none", "activation_checkpointing": True}},
    "bf16, none": {"engine": {"quantization": "none", "activation_checkpointing": False}},
    "bf16, dropout, full": {
        "dropout": 0.1, "engine": {"quantization": "none", "activation_checkpointing": True},
    },
    "short rows": {"length": 256, "engine": {"activation_checkpointing": True}},
    "short rows, none": {"length": 256, "engine": {"activation_checkpointing": False}},
    "two passes": {"passes": 2, "rank": 64, "length": 512, "engine": {"activation_checkpointing": True}},
    "high rank": {"rank": 64, "engine": {"activation_checkpointing": True}},
    "another shape": {"shape": OTHER, "engine": {"activation_checkpointing": True}},
    "another shape, none": {"shape": OTHER, "engine": {"activation_checkpointing": False}},
    "offloading, full": {"engine": {"activation_checkpointing": True, "activation_offloading": True}},
    "offloading, selective": {"engine": {"activation_checkpointing": "selective", "activation_offloading": True}},
    "offloading, none": {"engine": {"activation_checkpointing": False, "activation_offloading": True}},
    "large chunks": {"shape": OTHER, "engine": {"activation_checkpointing": True, "loss_chunk_tokens": 2048}},
}  # fmt: skip


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All cases, in a process of their own: it takes CUDA for present."""
    file = tmp_path_factory.mktemp("rehearsal") / "cases.json"
    file.write_text(json.dumps([{"shape": SMALL, "length": LENGTH} | case for case in CASES.values()]), "utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "tests.rehearsal", "--cases", str(file)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_estimate_is_within_two_percent(seen: dict[str, dict[str, Any]], case: str) -> None:
    assert seen[case]["error"] == pytest.approx(0, abs=0.02)


def test_weights_are_foretold_to_the_byte(seen: dict[str, dict[str, Any]]) -> None:
    """But for the table of frequencies in the rotary embedding."""
    assert seen["full"]["expected_weights"] == pytest.approx(seen["full"]["weights"], abs=1024)


def test_a_step_runs_on_the_kernels_that_are_meant_for_a_gpu(seen: dict[str, dict[str, Any]]) -> None:
    """Flash attention for packed rows, products with NF4 weights by bitsandbytes: all seven of a layer, twice."""
    called = seen["full"]["operators"]

    assert called["torch_attn._varlen_attn.default"] == 2 * _LAYERS
    assert called["torch_attn._varlen_attn_backward.default"] == _LAYERS
    assert called["bitsandbytes.gemm_4bit.default"] == 2 * 7 * _LAYERS
    # The first layer's inputs need no gradient but for what came out of it.
    assert called["bitsandbytes.dequantize_4bit.default"] <= 7 * _LAYERS
    assert not [name for name in called if "scaled_dot_product" in name]


def test_arithmetic_is_what_utilisation_is_reckoned_with(seen: dict[str, dict[str, Any]]) -> None:
    """Without recomputing; the formula's attention aside, which flash kernels do within themselves."""
    shape, case = BenchShape(**SMALL), Case("small", LENGTH, 16, 1)
    outline = shape_of(config_of(shape))
    attention = 6 * shape.layers * outline.attention * case.document

    foretold = LENGTH * (flop_per_token(outline, case, MODULES) - attention)

    # Nothing before the first layer is trained: its inputs get no gradient from the weights of q, k and v.
    spared = 2 * LENGTH * sum(outline.matrices[name] for name in ("q_proj", "k_proj", "v_proj"))
    assert seen["none"]["flop"] == pytest.approx(foretold - spared, rel=0.001)


def test_selective_checkpointing_computes_attention_once(seen: dict[str, dict[str, Any]]) -> None:
    called = seen["selective"]["operators"]

    assert called["torch_attn._varlen_attn.default"] == _LAYERS
    assert called["bitsandbytes.gemm_4bit.default"] == 2 * 7 * _LAYERS
    assert seen["full"]["peak"] < seen["selective"]["peak"] < seen["none"]["peak"]


def test_offloading_leaves_less_on_the_card(seen: dict[str, dict[str, Any]]) -> None:
    assert seen["offloading, full"]["peak"] < seen["full"]["peak"]
    assert seen["offloading, selective"]["peak"] < seen["selective"]["peak"]


def test_several_passes_keep_gradients_and_one_does_not(seen: dict[str, dict[str, Any]]) -> None:
    assert seen["two passes"]["operators"]["torch_attn._varlen_attn.default"] == 2 * 2 * _LAYERS
