"""The state of installed versions below a prefix, and what is wrong with them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dysenvdm.airgap.installer.layout import MANIFEST, BundleError, read_manifest

STATE = "installation.json"


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a small file whole: a reader sees the old one or the new one."""
    fresh = path.with_name(f".{path.name}")
    with fresh.open("w", encoding="utf-8") as out:
        out.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def read_state(version: Path) -> dict[str, Any]:
    """What the version's folder says of itself; empty where it says nothing that can be read."""
    try:
        data = json.loads((version / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def version_problems(version: Path, *, finished: bool = True) -> list[str]:
    """What is wrong with an installed version: its state, its packages' files, its models' presence. Reads no weights.

    ``finished`` false looks at a version that is being installed, whose state cannot be right yet.
    """
    return list(_problems(version, finished))


def _problems(version: Path, finished: bool) -> Iterator[str]:
    state = read_state(version)
    if finished and state.get("state") != "installed":
        yield "the installation was not finished"
        return
    try:
        manifest = read_manifest(version)
        digest = hashlib.sha256((version / MANIFEST).read_bytes()).hexdigest()
    except (BundleError, OSError) as error:
        yield str(error)
        return
    if finished and (state.get("manifest_sha256") != digest or state.get("name") != manifest["name"]):
        yield f"{MANIFEST} is not the one that was installed"
    for item in manifest["files"]:
        if item["kind"] in ("wheel", "installer", "lock"):
            continue
        path = version / ("store" if item["kind"] == "model" else "") / item["path"]
        if not path.is_file() or path.stat().st_size != item["size"]:
            yield f"{path.relative_to(version)} is missing or cut short"
    yield from _package_problems(version, manifest)


def _package_problems(version: Path, manifest: dict[str, Any]) -> Iterator[str]:
    if not (version / "venv" / "bin" / "python").exists():
        yield "venv/bin/python is missing, or the Python that it was made with is gone"
    for site in (version / "venv" / "lib").glob("python*/site-packages"):
        records = {_normal(path.parent.name): path for path in site.glob("*.dist-info/RECORD")}
        for item in manifest["packages"]:
            record = records.get(_normal(f"{item['name']}-{item['version']}.dist-info"))
            if record is None:
                yield f"package {item['name']} {item['version']} is missing"
            elif spoiled := _spoiled(site, record):
                yield f"package {item['name']}: {spoiled} is missing or cut short"
        return
    yield "venv has no packages"


def _spoiled(site: Path, record: Path) -> str | None:
    """The first file of an installed package that is missing or of another size than recorded."""
    with record.open(newline="", encoding="utf-8") as stream:
        for row in csv.reader(stream):
            if row[0].endswith(".pyc"):
                continue  # made on installation, and made again when missing
            try:
                size = os.stat(os.path.join(site, row[0])).st_size
            except OSError:
                return row[0]
            if len(row) > 2 and row[2] and size != int(row[2]):
                return row[0]
    return None


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def prefix_states(prefix: Path) -> dict[str, list[str]]:
    """Every version below a prefix with its problems; the one that ``current`` points at comes first."""
    current = (prefix / "current").resolve().name if (prefix / "current").is_symlink() else ""
    folder = prefix / "versions"
    versions = (
        [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        if folder.is_dir()
        else []
    )
    versions.sort(key=lambda path: path.name != current)
    found = {path.name: version_problems(path) for path in versions}
    if current and current not in found:
        found = {current: ["current points at a version that is not there"], **found}
    return found
