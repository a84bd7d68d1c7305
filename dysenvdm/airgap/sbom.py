"""A bundle's contents as a CycloneDX bill of materials, with the models and bundled native libraries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dysenvdm.airgap.manifest import BundledModel, BundleFile, Package
from planners.dsg import UserError

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_COPYLEFT = {"libx264": "GPL-2.0-or-later", "libx265": "GPL-2.0-or-later"}
"""Native libraries inside wheels whose licence is stricter than their wheel's."""


def bill_of_materials(
    version: str,
    created: str,
    packages: Sequence[Package],
    models: Sequence[BundledModel],
    files: Mapping[str, BundleFile],
    libraries: Mapping[str, Sequence[str]],
) -> str:
    """CycloneDX 1.6 as JSON; ``files`` by path, ``libraries`` (file names) by package. Same input, same text."""
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError:
        raise UserError("the bill of materials needs cyclonedx-python-lib: pip install 'dysenvdm[airgap]'") from None
    identity = uuid.uuid5(uuid.NAMESPACE_URL, "|".join(sorted(file.sha256 for file in files.values())))
    bom = Bom(serial_number=identity)
    bom.metadata.timestamp = datetime.fromisoformat(f"{created}T00:00:00+00:00")
    bom.metadata.component = Component(
        name="dysenvdm bundle", version=version, type=ComponentType.APPLICATION, bom_ref="bundle"
    )
    known = {
        package.name: _package(package, files[package.file], libraries.get(package.name, ())) for package in packages
    }
    for component in [*known.values(), *(_model(model) for model in models)]:
        bom.components.add(component)
    bom.register_dependency(bom.metadata.component, bom.components)
    for package in packages:
        bom.register_dependency(known[package.name], [known[name] for name in package.requires if name in known])
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _package(package: Package, file: BundleFile, libraries: Sequence[str]) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL("pypi", name=package.name.lower().replace("_", "-"), version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        licenses=_licences(package.licence),
        components=[_library(package, name) for name in libraries],
    )


def _library(package: Package, file_name: str) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    stricter = next((licence for name, licence in _COPYLEFT.items() if file_name.startswith(name)), "")
    return Component(
        name=file_name,
        type=ComponentType.LIBRARY,
        bom_ref=f"{package.name}/{file_name}",
        description=f"bundled in the wheel of {package.name}",
        licenses=_licences(stricter),
    )


def _model(model: BundledModel) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=model.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model/{model.name}",
        description=model.source,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=model.sha256)],
        licenses=_licences(model.licence),
    )


def _licences(text: str) -> list[Any]:
    from cyclonedx.contrib.license.factories import LicenseFactory

    return [LicenseFactory().make_from_string(text)] if text and text != "not stated" else []
