"""Tokens are counted with a base model that is stored, in a warm container at Modal and on a machine of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from functions.errors import InvalidInput, NotFound, Unavailable
from functions.model.job_spec import EMBEDDED_MODEL
from gpu_jobs.tokenization import count_tokens
from infra.clock import utc_now
from infra.local_files import LocalFiles
from infra.modal.compute import ModalCompute
from infra.modal.names import Names, model_folder
from infra.postgres.database import PostgresDatabase
from infra.settings import Settings
from infra.wiring import Parts
from tests.modal.conftest import Cloud
from tests.modal.state import VolumeFolder
from tests.scenario.hub import StoredModels, model_hub, serving_hub
from tests.unit.gpu_tiny import conversations, tiny_model_folder

LLAMA = "meta-llama/Meta-Llama-3-8B-Instruct"


class Bot:
    """A bot whose jobs run at Modal: a container there, in which the models' volume is mounted, or elsewhere."""

    def __init__(self, cloud: Cloud, db: PostgresDatabase, folder: Path) -> None:
        self._db = db
        self._client = cloud.client
        self.settings = cloud.settings.model_copy(
            update={
                "data_dir": folder / "data",
                "modal_mount_root": str(folder / "vol"),
                "modal_models_volume": f"models-{folder.name}",
            }
        )
        self.volume: VolumeFolder = cloud.plane.state.volume(self.settings.modal_models_volume)
        self.mounted_at = folder / "vol" / "models"

    def store(self, hub_id: str = EMBEDDED_MODEL) -> None:
        shutil.copytree(tiny_model_folder(), self.volume.live / model_folder(hub_id))

    def warm(self) -> Callable[[], list[tuple[int, int]]]:
        """It is up; what is given counts the tokens of a file that somebody adds."""
        names = Names.of(self.settings)
        files = LocalFiles(self.settings.data_dir, secret="s", base_url="http://bot", clock=utc_now)
        parts = Parts(self.settings, self._db, files, ModalCompute(names, client=self._client))
        context = parts.context()
        return lambda: context.counter.count(context.base_model(), conversations(2))


@pytest.fixture
def bot(cloud: Cloud, db: PostgresDatabase, tmp_path: Path) -> Bot:
    """One whose volume is empty."""
    return Bot(cloud, db, tmp_path)


def test_a_warm_container_counts_with_what_was_stored_after_it_started(bot: Bot) -> None:
    bot.volume.mount_in_a_warm_container(bot.mounted_at)
    count = bot.warm()
    with pytest.raises(NotFound, match="no base model is stored at Modal") as nothing:
        count()
    assert f"modal run -m infra.modal.models --model {EMBEDDED_MODEL}" in nothing.value.fix

    bot.store()
    bot.volume.open_files = True
    with pytest.raises(Unavailable, match="cannot be seen here yet") as hidden:
        count()
    assert hidden.value.fix.startswith("Try again in a minute.")
    bot.volume.open_files = False

    assert count() == count_tokens(tiny_model_folder(), conversations(2))


def test_the_largest_stored_model_counts(bot: Bot) -> None:
    bot.store()
    bot.store(LLAMA)
    bot.volume.mount_in_a_warm_container(bot.mounted_at)
    (bot.mounted_at / model_folder(EMBEDDED_MODEL) / "tokenizer.json").unlink()

    assert bot.warm()()


def test_a_stored_model_without_its_tokenizer_is_for_somebody_to_look_at(bot: Bot) -> None:
    bot.store()
    for path in (bot.volume.live / model_folder(EMBEDDED_MODEL)).iterdir():
        path.unlink()
    bot.volume.mount_in_a_warm_container(bot.mounted_at)

    with pytest.raises(Unavailable, match="could not be used") as broken:
        bot.warm()()
    assert broken.value.fix.endswith("should look whether all of the model is there.")


def test_a_model_that_the_hub_does_not_have_is_named(bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bot.store(LLAMA)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with model_hub("missing") as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(NotFound, match=f"there is no tokenizer of {LLAMA}") as missing:
            bot.warm()()
    assert "Try again" not in str(missing.value)


def test_a_bot_elsewhere_is_told_of_the_licence_and_of_the_token(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.store(LLAMA)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with model_hub("gated") as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(InvalidInput, match="has to agree first") as gated:
            bot.warm()()
    assert f"https://huggingface.co/{LLAMA}" in gated.value.fix
    assert "HF_TOKEN" in gated.value.fix
    assert "Try again" not in str(gated.value)


def test_the_token_of_the_settings_opens_a_gated_tokenizer(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.store(LLAMA)
    env_file = tmp_path / ".env"
    env_file.write_text("HF_TOKEN=hf_ours\n", "utf-8")
    hub = StoredModels({LLAMA: {path.name: path.read_bytes() for path in tiny_model_folder().iterdir()}})
    hub.token = "hf_ours"
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serving_hub(hub) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(InvalidInput):
            bot.warm()()
        token = Settings(_env_file=env_file).hf_token
        assert token == SecretStr("hf_ours")
        bot.settings = bot.settings.model_copy(update={"hf_token": token})
        assert bot.warm()() == count_tokens(tiny_model_folder(), conversations(2))
