"""Settings that follow from one another."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from functions.errors import InvalidInput
from infra.cli import app as command
from infra.settings import Settings, kept_secret


@pytest.mark.parametrize(
    ("given", "limit"), [({}, 1), ({"compute": "modal"}, 3), ({"compute": "modal", "max_running_jobs": 2}, 2)]
)
def test_three_train_at_once_at_modal_and_one_here_unless_somebody_says_otherwise(
    given: dict[str, object], limit: int, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, **given)  # type: ignore[arg-type]
    assert settings.running_limit == limit


def given(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    """Settings as a process reads them from its environment."""
    for name, value in values.items():
        monkeypatch.setenv(f"BRIGHTRUN_{name}", value)
    return Settings(_env_file=None)


@pytest.mark.parametrize(
    ("written", "entries"),
    [
        ("T012345:U012345,T012345:U067890", ("T012345:U012345", "T012345:U067890")),
        (" T012345:U012345 , ", ("T012345:U012345",)),
        ("T012345:U012345", ("T012345:U012345",)),
        ("", ()),
        (" ", ()),
        (",", ()),
    ],
)
@pytest.mark.parametrize("name", ["VIEWERS", "MANAGERS", "ADMINS"])
def test_people_are_named_in_the_environment(
    name: str, written: str, entries: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(given(monkeypatch, **{name: written}), name.lower()) == entries


def test_every_line_of_the_example_can_be_set_as_it_stands(tmp_path: Path) -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text("utf-8")
    (tmp_path / ".env").write_text(re.sub(r"^#([A-Z_]+=)", r"\1", example, flags=re.MULTILINE), "utf-8")

    settings = Settings(_env_file=tmp_path / ".env")

    assert settings.managers == ("U012345", "T067890:U067890")
    assert (settings.viewers, settings.admins) == ((), ())
    names = set(re.findall(r"^([A-Z_]+)=", (tmp_path / ".env").read_text("utf-8"), flags=re.MULTILINE))
    fields = Settings.model_fields.items()
    assert names == {str(field.validation_alias or f"BRIGHTRUN_{name.upper()}") for name, field in fields}


def _blank_everything() -> dict[str, str]:
    return {f"BRIGHTRUN_{name.upper()}": "" for name in Settings.model_fields}


def test_a_blank_variable_is_one_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / ".env"
    written.write_text("".join(f"{name}=\n" for name in _blank_everything()), "utf-8")
    assert Settings(_env_file=written) == Settings(_env_file=None)
    written.write_text("BRIGHTRUN_HOST=0.0.0.0\n", "utf-8")
    for name in _blank_everything():
        monkeypatch.setenv(name, "")
    settings = Settings(_env_file=written, data_dir=tmp_path)
    assert settings.host == "0.0.0.0"  # noqa: S104 - compared, not bound
    assert settings.uses_local_workspace
    assert (settings.database_url, settings.slack_signing_secret, settings.stripe_key) == (None, None, None)
    # The key is made up and kept, never the empty one.
    assert len(settings.secret_value()) == len(settings.signing_secret_value()) == 64


def test_a_secret_that_could_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="secret") as refused:
        given(monkeypatch, SECRET="x" * 31)
    assert "xxx" not in str(refused.value)
    good = given(monkeypatch, SECRET="x" * 32)
    assert good.secret_value() == "x" * 32
    assert "xxx" not in repr(good)


@pytest.mark.parametrize(
    "arguments",
    [
        ["up"],
        ["demo", "--headless"],
        ["check", "a.json"],
        ["import", "a.json"],
        ["migrate"],
        ["backup", "a"],
        ["restore", "a"],
        ["bill"],
        ["doctor"],
        ["serve", "http"],
    ],
)
def test_every_command_names_the_settings_that_cannot_be_used(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIGHTRUN_COMPUTE", "Modal")
    (tmp_path / ".env").write_text("BRIGHTRUN_SECRET=hunter2\nBRIGHTRUN_HTTP_PORT=web\n", "utf-8")

    said = CliRunner().invoke(command, arguments)

    assert said.exit_code == 1
    assert isinstance(said.exception, SystemExit), said.exception
    assert said.output.startswith("brightrun: ")
    assert "BRIGHTRUN_COMPUTE is 'Modal' and has to be 'local' or 'modal'." in said.output
    assert "BRIGHTRUN_SECRET is shorter than 32 characters" in said.output
    assert "BRIGHTRUN_HTTP_PORT is 'web' and has to be a valid integer." in said.output
    assert "Change it in .env" in said.output
    assert "hunter2" not in said.output


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real, heard = tmp_path / "data" / "secret", secrets.token_hex, []

    def while_another_starts(length: int) -> str:
        monkeypatch.setattr(secrets, "token_hex", real)
        heard.append(kept_secret(path))
        return real(length)

    monkeypatch.setattr(secrets, "token_hex", while_another_starts)
    heard.append(kept_secret(path))

    assert len(set(heard)) == 1
    assert len(heard[0]) == 64
    assert [file.name for file in path.parent.iterdir()] == ["secret"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n", "utf-8")
    with pytest.raises(InvalidInput, match="Remove it"):
        Settings(_env_file=None, data_dir=tmp_path).secret_value()


def test_settings_that_cannot_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"BRIGHTRUN_HOST=\xff\xfe\n")
    said = CliRunner().invoke(command, ["doctor"])
    assert (said.exit_code, "brightrun: The settings in .env cannot be read" in said.output) == (1, True), said.output
