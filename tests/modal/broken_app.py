"""An app whose image lacks what its `train` imports."""

from __future__ import annotations

from typing import Any

import modal

app = modal.App("broken", include_source=False)

if not modal.is_local():
    import not_in_the_image  # type: ignore[import-not-found]  # noqa: F401


@app.function(gpu="H100", timeout=3600)
def train(spec: dict[str, Any], token: str) -> int:
    """Never reached."""
    return 0
