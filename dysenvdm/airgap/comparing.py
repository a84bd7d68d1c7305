"""What a newer bundle would change: packages, models, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One difference; ``old`` and ``new`` are empty where there is nothing on that side."""

    kind: str
    name: str
    old: str
    new: str


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """All differences of two manifests: target, packages by version, models and other files by hash, sizes."""
    changes = [
        Change("target", key, str(old["target"][key]), str(new["target"][key]))
        for key in ("python", "machine")
        if old["target"][key] != new["target"][key]
    ]
    for kind, one, other in (
        ("package", _packages(old), _packages(new)),
        ("model", _models(old), _models(new)),
        ("file", _files(old), _files(new)),
    ):
        for name in sorted(one.keys() | other.keys()):
            before, after = one.get(name, ("", "")), other.get(name, ("", ""))
            if before != after:
                rebuilt = before[0] == after[0]
                changes.append(Change(kind, name, before[0], f"{after[0]} (other content)" if rebuilt else after[0]))
    return changes


def sizes(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of a bundle by kind of file, and what its packages take once installed."""
    found: dict[str, int] = {}
    for file in manifest["files"]:
        found[file["kind"]] = found.get(file["kind"], 0) + file["size"]
    found["all files"] = sum(found.values())
    found["packages, installed"] = sum(package["installed_size"] for package in manifest["packages"])
    return found


def _packages(manifest: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    hashes = {file["path"]: file["sha256"] for file in manifest["files"]}
    return {item["name"]: (item["version"], hashes[item["file"]]) for item in manifest["packages"]}


def _models(manifest: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {item["name"]: (item["source"], item["sha256"]) for item in manifest["models"]}


def _files(manifest: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    other = [file for file in manifest["files"] if file["kind"] not in ("wheel", "model", "installer", "lock", "sbom")]
    return {file["path"]: (f"{file['size']} bytes", file["sha256"]) for file in other}
