"""`python -m gpu_jobs.bench [--shape 70b 8b] [--lengths 2048 4096 8192] [--ranks 8 16 32] [--json FILE]`."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from functions.model.job_spec import EngineOptions
from gpu_jobs.bench import ours, plain_trl, unsloth_run
from gpu_jobs.bench.figures import FORMULA, Case, Figures, flop_per_token, peak_flop, table
from gpu_jobs.bench.meter import Meter
from gpu_jobs.bench.shapes import SHAPES, make_model
from gpu_jobs.devices import Device, find_device
from gpu_jobs.engine import levers_of, shape_of


def main(arguments: Sequence[str]) -> int:
    """Measure every case with every engine, one after another in this process, and print what came out."""
    asked = _parser().parse_args(arguments)
    device = find_device()
    if asked.device == "cuda" and not device.is_cuda:
        sys.stderr.write("There is no GPU here. Run with --shape tiny --device cpu, or on a machine that has one.\n")
        return 2
    if asked.device == "cpu":
        device = Device("cpu", device.name if not device.is_cuda else "CPU", torch.float32, None)
    peak, source = peak_flop(device)
    rows: list[Figures] = []
    for name in asked.shape:
        base = make_model(SHAPES[name], device)
        for length in asked.lengths:
            for rank in asked.ranks:
                case = Case(name, length, rank, asked.steps)
                rows += _measure(base, case, device, peak, EngineOptions.model_validate_json(asked.engine))
                sys.stderr.write("\n".join(table(rows).splitlines()[2:]) + "\n\n")
        del base
        _free(device)
        rows += unsloth_run.rows(name, asked, peak)
    about = f"Device: {device.name}. Peak: {peak / 1e12:.3g} TFLOP/s ({source}). {FORMULA}"
    result = {"device": device.name, "peak_flop": peak, "peak_source": source, "rows": [row.as_dict() for row in rows]}
    text = json.dumps(result, indent=1)
    if asked.json:
        Path(asked.json).write_text(text + "\n", "utf-8")
    sys.stdout.write(f"{about}\n\n{table(rows)}\n\n```json\n{text}\n```\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gpu_jobs.bench", description=__doc__)
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=["8b", "70b"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[2048, 4096, 8192], help="tokens of a packed row")
    parser.add_argument("--ranks", nargs="+", type=int, default=[8, 16, 32])
    parser.add_argument("--steps", type=int, default=4, help="the first one warms up")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--engine", default="{}", help="EngineOptions as JSON, to try a lever")
    parser.add_argument("--json", default="", help="write the figures to this file too")
    return parser


def _measure(base: Any, case: Case, device: Device, peak: float, engine: EngineOptions) -> list[Figures]:
    spec = ours.spec_of(case, case.steps, engine, "unused")
    chosen = levers_of(spec, base, device)
    shape = shape_of(base.config)
    work = flop_per_token(shape, case, ours.MODULES)
    found = []
    for engine_name in ("Bright Run", "TRL"):

        def once(meter: Meter, steps: int, name: str = engine_name) -> int | None:
            if name == "TRL":
                plain_trl.run(base, case, device, meter, steps=steps, chosen=chosen)
                return None
            return ours.run(base, case, device, meter, steps=steps, engine=engine)

        row = Figures(case, engine_name, flop_per_token=work, device_flop_per_second=peak)
        found.append(_run(row, base, device, once))
        _free(device)
    return found


def _run(row: Figures, base: Any, device: Device, once: Any) -> Figures:
    meter = Meter(device, base, memory=False)
    try:
        predicted = once(meter, row.case.steps)
        memory = meter
        if not device.is_cuda:
            memory = Meter(device, base, memory=True)
            once(memory, 2)  # from the second step on the optimizer's state is there
    except torch.OutOfMemoryError:
        return replace(row, note="out of memory")
    tokens = meter.steps * 4 * row.case.document
    return replace(row, tokens=tokens, seconds=meter.seconds, peak_bytes=memory.peak_bytes, predicted_bytes=predicted)


def _free(device: Device) -> None:
    gc.collect()
    if device.is_cuda:
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
