"""The manifest of a bundle, dysenvdm.bundle/1: what `bundle create` writes, and `installer.layout` reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dysenvdm.airgap.installer.layout import is_safe_path


def _safe(path: str) -> str:
    if not is_safe_path(path):
        raise ValueError(f"{path!r} is not a plain relative path")
    return path


SafePath = Annotated[str, AfterValidator(_safe)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, lt=2**53)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._+-]{0,79}$")]
Kind = Literal["wheel", "model", "weights", "lock", "sbom", "recipe", "document", "installer"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BundleFile(_Strict):
    """One file: ``source`` says where it comes from, ``revision`` which version of it."""

    path: SafePath
    size: Size
    sha256: Sha256
    kind: Kind
    source: str
    revision: str
    licence: str


class Package(_Strict):
    """One Python package and its wheel; ``requires`` names the packages of the bundle that it needs."""

    name: str
    version: str
    file: SafePath
    licence: str
    installed_size: Size
    """Bytes on the disk once installed, compiled modules among them; an estimate."""
    requires: list[str]


class BundledModel(_Strict):
    """One model: its folder in the bundle, or none where it lies in the wheel of dysenvdm."""

    name: Name
    folder: SafePath | None
    source: str
    licence: str
    sha256: Sha256
    """Of the model's own manifest, which has the hashes of its files."""


class Target(_Strict):
    """The machines that the wheels fit: Python as "3.11", ``machine`` as ``uname -m`` says it or "any"."""

    python: str
    machine: str
    platforms: list[str]


class Part(_Strict):
    """One volume's file."""

    path: SafePath
    size: Size
    sha256: Sha256


class Volumes(_Strict):
    """Parts whose bytes, one after the other, are those of all files but the installer's, in the manifest's order."""

    size: Size
    parts: list[Part]


class Manifest(_Strict):
    """Everything in a bundle."""

    format: Literal["dysenvdm.bundle/1"]
    name: Name
    version: str
    created: str
    target: Target
    extras: list[str]
    packages: list[Package]
    models: list[BundledModel]
    files: list[BundleFile]
    volumes: Volumes | None
