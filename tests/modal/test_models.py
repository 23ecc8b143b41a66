"""Base models on their volume: one counts as stored when all of it is there. What fetches is Modal's own entrypoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import modal
import pytest

from functions.errors import InvalidInput
from infra.modal.verdict import examine_modal
from tests.modal.conftest import Cloud
from tests.scenario.hub import StoredModels, serving_hub

MODEL = "meta-llama/Meta-Llama-3-8B-Instruct"
FOLDER = "meta-llama--Meta-Llama-3-8B-Instruct"
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "original/consolidated.00.pth": b"the same weights again",
}


class Fetching:
    """`modal run -m infra.modal.models`, as far as it runs at Modal, beside a hub on this machine."""

    def __init__(self, cloud: Cloud, hub: StoredModels) -> None:
        self._cloud = cloud
        self.hub = hub
        self.volume = cloud.plane.state.volume(cloud.settings.modal_models_volume)

    def fetch(self, hub_id: str = MODEL) -> str:
        app = f"{self._cloud.settings.modal_app}-models"
        call = modal.Function.from_name(app, "fetch", client=self._cloud.client).spawn(hub_id)
        return str(call.get(timeout=120))

    @property
    def partial(self) -> Path:
        return self.volume.live / ".partial" / FOLDER

    def stored(self) -> bool:
        return self._cloud.compute().model_path(MODEL) is not None

    def doctor(self) -> str:
        settings = self._cloud.settings.model_copy(update={"public_url": "https://brightrun.example.com"})
        there = examine_modal(settings, client=self._cloud.client).detail.partition("base models there: ")[2]
        return there.partition(". To add one")[0]


@pytest.fixture
def fetching(cloud: Cloud) -> Iterator[Fetching]:
    """The app that fetches, deployed, and a hub with one model."""
    cloud.deploy("-m", "infra.modal.models")
    (function,) = (each for each in cloud.plane.state.functions.values() if each.function_name == "fetch")
    hub = StoredModels({MODEL: FILES})
    with serving_hub(hub) as url:
        cloud.plane.state.secrets[function.secret_ids[0]]["HF_ENDPOINT"] = url
        stand = Fetching(cloud, hub)
        yield stand
    for folder in (stand.partial, stand.volume.live / FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


def test_a_model_is_stored_when_it_is_whole(fetching: Fetching) -> None:
    before = fetching.volume.commits

    assert fetching.fetch().endswith(f"/models/{FOLDER}")

    assert fetching.stored()
    assert "Llama 3 8B" in fetching.doctor()
    folder = fetching.volume.live / FOLDER
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names == {"config.json", "model.safetensors"}
    assert not fetching.partial.exists()
    assert fetching.volume.commits > before
    fetching.hub.fetched.clear()
    fetching.fetch()
    assert fetching.hub.fetched == []


def test_a_gated_model_leaves_nothing_that_counts_as_stored(fetching: Fetching) -> None:
    fetching.hub.refused |= FILES.keys()

    with pytest.raises(InvalidInput, match="after its owner has agreed") as refused:
        fetching.fetch()

    assert f"HF_TOKEN=hf_... modal run -m infra.modal.models --model {MODEL}" in refused.value.fix
    assert not fetching.stored()
    assert "Llama 3 8B" not in fetching.doctor()
    with pytest.raises(InvalidInput, match="no model nobody/nothing"):
        fetching.fetch("nobody/nothing")


def test_what_was_cut_off_goes_on_where_it_stopped(fetching: Fetching) -> None:
    fetching.hub.refused.add("model.safetensors")
    for closed in (False, True):  # the second time there is something, with which the hub's client would be content
        fetching.hub.closed = closed
        with pytest.raises(InvalidInput):
            fetching.fetch()
        assert not fetching.stored()
        assert (fetching.partial / "config.json").is_file()
    fetching.hub.refused.clear()
    fetching.hub.closed = False
    fetching.hub.fetched.clear()

    fetching.fetch()

    assert fetching.hub.fetched == ["model.safetensors"]
    assert fetching.stored()


def test_a_folder_without_its_weights_is_fetched_anew(fetching: Fetching) -> None:
    (fetching.volume.live / FOLDER).mkdir()
    (fetching.volume.live / FOLDER / "config.json").write_bytes(b"{}")

    fetching.fetch()

    assert (fetching.volume.live / FOLDER / "model.safetensors").read_bytes() == b"weights"
