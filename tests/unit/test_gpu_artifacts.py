"""What a client downloads: complete, loadable, verifiable; and what happens when there is no room for it."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from functions.model.job_spec import JobSpec
from gpu_jobs.artifacts import Archive, archive_name, pack, slug, store
from gpu_jobs.failures import JobFailed
from gpu_jobs.result import kept_result, machine_seconds, summarize
from gpu_jobs.service import Service
from tests.unit.gpu_tiny import job_spec, kinds, start_job, tiny_model_folder, told, wait

NAME = "Großer Lauf / ¼ 🚀: Elena's"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    spec = job_spec(tmp_path_factory.mktemp("jobs") / "job", max_steps=4, job_name=NAME, rate_cents_per_hour=395)
    assert wait(start_job(spec)) == 0
    return spec


@pytest.fixture
def unpacked(finished: JobSpec, tmp_path: Path) -> Path:
    with zipfile.ZipFile(_archive(finished)) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def _archive(spec: JobSpec) -> Path:
    return Path(spec.work_dir) / "artifacts" / archive_name(spec)


def test_archive_holds_what_it_says_with_right_checksums(finished: JobSpec, unpacked: Path) -> None:
    names = sorted(path.name for path in unpacked.iterdir())

    assert _archive(finished).name == f"groer-lauf-14-elena-s-adapters-{finished.job_id}.zip"
    assert names == [
        "README.txt", "SHA256SUMS", "adapter_config.json", "adapter_model.bin", "adapter_model.safetensors",
        "training_summary.json",
    ]  # fmt: skip
    for line in (unpacked / "SHA256SUMS").read_text().splitlines():
        sha, name = line.split("  ")
        assert hashlib.sha256((unpacked / name).read_bytes()).hexdigest() == sha
    stored = next(body for body in told(finished) if body["kind"] == "artifact")
    assert stored["sha256"] == hashlib.sha256(_archive(finished).read_bytes()).hexdigest()


def test_adapter_loads_and_both_weight_files_are_equal(unpacked: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    safe = load_file(unpacked / "adapter_model.safetensors")
    pickled = torch.load(unpacked / "adapter_model.bin", weights_only=True)
    assert safe.keys() == pickled.keys()
    assert all(torch.equal(safe[name], pickled[name]) for name in safe)

    ids = torch.arange(1, 20).unsqueeze(0)
    logits = []
    for weights in ("adapter_model.bin", "adapter_model.safetensors"):
        (unpacked / weights).rename(unpacked / "aside")
        base = AutoModelForCausalLM.from_pretrained(tiny_model_folder(), dtype=torch.float32)
        with torch.no_grad():
            before = base(input_ids=ids).logits
            logits.append(PeftModel.from_pretrained(base, str(unpacked))(input_ids=ids).logits)
        (unpacked / "aside").rename(unpacked / weights)
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], before)


def test_texts_name_the_public_model_and_the_figures(finished: JobSpec, unpacked: Path) -> None:
    readme = (unpacked / "README.txt").read_text()
    config = json.loads((unpacked / "adapter_config.json").read_text())
    summary = json.loads((unpacked / "training_summary.json").read_text())

    assert config["base_model_name_or_path"] == "example/tiny-llama"
    assert 'from_pretrained("example/tiny-llama"' in readme
    code = readme[readme.index("    from peft") : readme.index("The model was trained")]
    compile(re.sub(r"^    ", "", code, flags=re.M), "README.txt", "exec")
    assert summary["data"]["sha256"] == finished.data.sha256
    assert summary["held_out"]["tuned"]["perplexity"] > 1
    assert summary["cost"]["cents"] >= 1
    assert summary["job"]["name"] == NAME
    everything = "".join(path.read_text(errors="ignore") for path in unpacked.iterdir())
    assert finished.work_dir not in everything
    assert str(tiny_model_folder()) not in everything


def test_packing_again_gives_the_same_bytes(finished: JobSpec) -> None:
    result = kept_result(Path(finished.work_dir), _fingerprint(finished))
    assert result is not None
    summary = summarize(finished, result, machine_seconds=machine_seconds(Path(finished.work_dir)))
    adapter = Path(finished.work_dir) / "adapter"

    assert pack(finished, adapter, summary).sha256 == pack(finished, adapter, summary).sha256


def _result(spec: JobSpec) -> dict[str, Any]:
    return dict(json.loads((Path(spec.work_dir) / "adapter/result.json").read_text()))


def _fingerprint(spec: JobSpec) -> str:
    return str(_result(spec)["fingerprint"])


def test_full_disk_is_told_and_the_next_attempt_only_packs(finished: JobSpec, tmp_path: Path) -> None:
    work_dir = tmp_path / "job"
    shutil.copytree(finished.work_dir, work_dir)
    shutil.rmtree(work_dir / "artifacts")
    (work_dir / "artifacts").mkdir()
    spec = finished.model_copy(update={"work_dir": str(work_dir), "attempt": 2})
    partial = work_dir / "artifacts" / (archive_name(spec) + ".partial")
    partial.symlink_to("/dev/full")

    assert wait(start_job(spec)) == 1
    failed = told(spec)[-1]
    assert (failed["kind"], failed["code"]) == ("failed", "disk_full")
    assert re.search(r"[\d.,]+ MB are needed, [\d.,]+ MB of [\d.,]+ MB are free", failed["why"])
    assert failed["fixes"]

    again = spec.model_copy(update={"attempt": 3})
    assert wait(start_job(again)) == 0
    assert kinds(again)[-1] == "finished"
    assert "metrics" not in kinds(again)
    # Otherwise nobody would hear that it went on.
    assert next(body["step"] for body in told(again) if body["kind"] == "resumed") == _result(again)["steps"]


def test_file_size_limit_while_writing_weights_is_a_full_disk_too(finished: JobSpec, tmp_path: Path) -> None:
    shutil.copytree(Path(finished.work_dir) / "adapter", tmp_path / "adapter")
    (tmp_path / "adapter/adapter_model.bin").unlink()
    spec = finished.model_copy(update={"work_dir": str(tmp_path)})
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from functions.model.job_spec import JobSpec; from gpu_jobs.artifacts import pack\n"
        "from gpu_jobs.failures import JobFailed\n"
        "spec = JobSpec.model_validate_json(sys.argv[1])\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (9000, {resource.RLIM_INFINITY}))\n"
        "try: pack(spec, Path(spec.work_dir) / 'adapter', {})\n"
        "except JobFailed as failure: print(failure.code)\n"
    )
    command = [sys.executable, "-c", script, spec.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "disk_full", done.stderr


@given(st.text(max_size=100))
def test_any_job_name_makes_a_safe_file_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?", slug(name))


class _Storage:
    """Gives places and takes files; fails the first PUTs."""

    def __init__(self, failures: int) -> None:
        self.files: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                url = f"{outer.url}/put/{asked['name']}?sig=1"
                self._answer(200, json.dumps({"url": url, "path": f"jobs/{asked['name']}"}).encode())

            def do_PUT(self) -> None:
                nonlocal failures
                body = self.rfile.read(int(self.headers["content-length"]))
                failures -= 1
                if failures >= 0:
                    self._answer(500, b"")
                    return
                assert self.headers["content-type"] == "application/zip"
                outer.files[self.path] = body
                self._answer(200, b"{}")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = tmp_path / "a.zip"
    path.write_bytes(b"zip" * 1_000_000)
    return Archive(path, path.stat().st_size, "sha")


def test_upload_is_repeated_until_it_succeeds(archive: Archive) -> None:
    storage = _Storage(failures=2)
    spec = job_spec(archive.path.parent / "job", service_url=storage.url)

    stored = store(archive, Service.of(spec, "token"), lambda: None, pauses=(0, 0, 0))

    assert stored.path == "jobs/a.zip"
    assert storage.files["/put/a.zip?sig=1"] == archive.path.read_bytes()
    storage.server.shutdown()


def test_upload_that_never_succeeds_says_that_only_it_must_be_repeated(archive: Archive) -> None:
    storage = _Storage(failures=99)
    spec = job_spec(archive.path.parent / "job", service_url=storage.url)

    with pytest.raises(JobFailed) as failure:
        store(archive, Service.of(spec, "token"), lambda: None, pauses=(0, 0))

    assert failure.value.code == "upload_failed"
    assert "status 500" in failure.value.why
    storage.server.shutdown()
