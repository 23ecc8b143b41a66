"""Settings that follow from one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import Settings


@pytest.mark.parametrize(
    ("given", "limit"), [({}, 1), ({"compute": "modal"}, 3), ({"compute": "modal", "max_running_jobs": 2}, 2)]
)
def test_three_train_at_once_at_modal_and_one_here_unless_somebody_says_otherwise(
    given: dict[str, object], limit: int, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, **given)  # type: ignore[arg-type]
    assert settings.running_limit == limit
