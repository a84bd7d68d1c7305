"""What wheels say of themselves, and whether a set of them is complete for its target."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from planners.dsg import UserError

_BLOCK = 4096
_COMPILED = 2.4
"""Room of a module with its compiled form and their folders, in its own: 226 MiB of the bare install took 528."""
_MACHINES = ("x86_64", "aarch64", "arm64", "ppc64le", "s390x", "i686")


@dataclass(frozen=True)
class Wheel:
    """A wheel's metadata: ``installed_size`` in bytes, with compiled modules; ``libraries`` that it bundles."""

    path: Path
    name: str
    version: str
    licence: str
    requirements: tuple[Requirement, ...]
    installed_size: int
    libraries: tuple[str, ...]


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's metadata; raises :class:`UserError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            [metadata] = [
                info
                for info in infos
                if info.filename.count("/") == 1 and info.filename.endswith(".dist-info/METADATA")
            ]
            headers = HeaderParser().parsestr(archive.read(metadata).decode("utf-8"))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a wheel ({error}); remove it and run the command again") from None
    blocks = sum(-(-info.file_size // _BLOCK) * (_COMPILED if info.filename.endswith(".py") else 1) for info in infos)
    libraries = sorted({info.filename for info in infos if ".libs/" in info.filename and ".so" in info.filename})
    return Wheel(
        path,
        headers["Name"],
        headers["Version"],
        _licence(headers["License-Expression"], headers["License"], headers.get_all("Classifier", [])),
        tuple(Requirement(line) for line in headers.get_all("Requires-Dist", [])),
        int(blocks * _BLOCK),
        tuple(name.rpartition("/")[2] for name in libraries),
    )


def _licence(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str:
    if expression:
        return expression.strip()
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    first = (text or "").strip().splitlines()[:1]
    if first and len((text or "").strip().splitlines()) == 1 and len(first[0]) <= 100:
        return first[0].strip()
    return " / ".join(named) or "not stated"


def needs(wheels: Iterable[Wheel], root: str, extras: Iterable[str], python: str, machine: str) -> dict[str, list[str]]:
    """What each package of a set needs of it on the target, from the root package with its extras on.

    pip reads environment markers for the Python that it runs in, also when it resolves for another one; here they are
    read for the target. Raises :class:`UserError` where something is missing, or is not a version asked for.
    """
    known = {canonicalize_name(wheel.name): wheel for wheel in wheels}
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_machine": machine,
    }
    found: dict[str, set[str]] = {}
    waiting = [(canonicalize_name(root), extra) for extra in ("", *extras)]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for requirement in known[name].requirements:
            if requirement.marker and not requirement.marker.evaluate({**environment, "extra": extra}):
                continue
            needed = canonicalize_name(requirement.name)
            if needed not in known or not requirement.specifier.contains(
                Version(known[needed].version), prereleases=True
            ):
                there = f"{known[needed].version} is there" if needed in known else "it is not among the wheels"
                raise UserError(
                    f"{known[name].name} needs {requirement} on Python {python}, {machine}, but {there}; "
                    f"create the bundle with that Python on such a machine"
                )
            found.setdefault(known[name].name, set()).add(known[needed].name)
            for one in ("", *requirement.extras):
                if (needed, one) not in seen:
                    seen.add((needed, one))
                    waiting.append((needed, one))
    return {wheel.name: sorted(found.get(wheel.name, ())) for wheel in known.values()}


def machine_of(platforms: Iterable[str]) -> str | None:
    """The machine (as ``uname -m`` says it) that wheel platform tags are for, or None where they name none."""
    for platform in platforms:
        for machine in _MACHINES:
            if platform.endswith(machine):
                return machine
    return None


def expand_platforms(platforms: Iterable[str]) -> tuple[str, ...]:
    """A manylinux platform with all older ones that it runs too: pip takes a platform by its letter."""
    found: list[str] = []
    legacy = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
    for platform in platforms:
        match = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", platform)
        if not match:
            found.append(platform)
            continue
        for minor in range(int(match[1]), 4, -1):
            found.append(f"manylinux_2_{minor}_{match[2]}")
            if minor in legacy:
                found.append(f"{legacy[minor]}_{match[2]}")
        found.append(f"linux_{match[2]}")
    return tuple(dict.fromkeys(found))
