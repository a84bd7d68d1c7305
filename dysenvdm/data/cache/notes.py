"""Notes in a cache folder: what is known under a recipe's settings where that cannot be worked out anew.

The clips' key is noted, for a day when the videos are gone; and which plans a recipe's settings led to, for ranks that
must not load a planner.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dysenvdm.files import synchronised, written_whole


def remember(root: Path, kind: str, settings: Any, said: Mapping[str, Any]) -> None:
    """Note what holds under these settings (both plain JSON)."""
    path = _path(root, kind, settings)
    if recall(root, kind, settings) != dict(said):
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps({"settings": settings, **said}, indent=1) + "\n", encoding="utf-8")
            synchronised(temporary)


def recall(root: Path, kind: str, settings: Any) -> dict[str, Any] | None:
    """What was noted under these settings; None where nothing was."""
    try:
        said: dict[str, Any] = json.loads(_path(root, kind, settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    said.pop("settings", None)
    return said


def _path(root: Path, kind: str, settings: Any) -> Path:
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return root / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
