"""``dysenvdm doctor``: what this machine and this installation look like, and the mend of what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from dysenvdm import models
from dysenvdm.airgap import preflight
from dysenvdm.airgap.preflight import Finding
from dysenvdm.cli.console import out, plain, print_json
from planners.dsg import UserError

app = typer.Typer(add_completion=False)

MIN_MEMORY_GIB = 6.0
MIN_DISK_GIB = 2.0
_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check Python, libraries, devices, memory, disk, models, plugins, offline switches, ports, the installed bundle.

    Exit code 1 where something is broken.
    """
    findings = [*machine(), *libraries(), *devices(), *weights(), *planner_plugins(), *surroundings()]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("", "what", "found", "mend"):
            table.add_column(title, overflow="fold")
        for finding in findings:
            cells = (plain(finding.name), plain(finding.found), plain(finding.mend))
            table.add_row(Text(finding.level, _STYLES[finding.level]), *map(Text, cells))
        out.print(table)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def machine() -> Iterator[Finding]:
    """Python, processor, memory, disk."""
    import psutil

    right = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("python", "ok" if right else "error", platform.python_version(), "" if right else "use 3.11 to 3.13")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("processor", "ok", f"{cores} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}")
    free = psutil.virtual_memory().available / 2**30
    yield _at_least("memory", free, MIN_MEMORY_GIB, "close other programs, or generate with fewer --frames")
    folder = next(path for path in (models.home(), *models.home().parents) if path.exists())
    free = shutil.disk_usage(folder).free / 2**30
    yield _at_least("disk", free, MIN_DISK_GIB, f"free some space under {folder}, or set DYSENVDM_HOME elsewhere")


def libraries() -> Iterator[Finding]:
    """The libraries that generate, and combinations known to break."""
    from dysenvdm import __version__

    yield Finding("dysenvdm", "ok", __version__)
    for name in ("torch", "diffusers", "transformers", "outlines", "llguidance", "av"):
        found = _version(name)
        mend = "" if found else "pip install -c constraints.txt -e ."
        yield Finding(name, "ok" if found else "error", found or "missing", mend)
    if _version("decord") and _version("decord2"):
        mend = "pip uninstall -y decord decord2 && pip install decord2"
        yield Finding("decord", "error", "decord and decord2 both own the import name decord", mend)
    torch_build, vision = (_version("torch") or "").partition("+")[2], _version("torchvision")
    if vision and vision.partition("+")[2] != torch_build:
        found = f"torchvision {vision} beside torch {_version('torch')}: another build, transformers fails on import"
        yield Finding("torchvision", "error", found, "pip uninstall -y torchvision (nothing here needs it)")


def devices() -> Iterator[Finding]:
    """GPUs, whether torch and the driver fit, and whether the models fit into the memory."""
    import psutil

    if not _version("torch"):
        return
    import torch

    driver, gpus = preflight.driver_cuda(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch has against a driver is said below
        for number in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(number)
            gpus.append(preflight.Gpu(properties.name, properties.total_memory))
    names = ", ".join(gpu.name for gpu in gpus)
    yield Finding("devices", "ok", names or f"CPU, {torch.get_num_threads()} threads")
    yield preflight.torch_and_driver(torch.version.cuda, driver, gpus)
    yield from preflight.memory_for_models(gpus, psutil.virtual_memory().total)


def surroundings() -> Iterator[Finding]:
    """Folders to write to, what keeps libraries off the network, the server's port, the installed bundle."""
    from serving.settings import Settings

    yield from preflight.write_access(preflight.places())
    yield from preflight.offline_switches(os.environ)
    yield preflight.port(int(Settings.model_fields["port"].default))
    yield from preflight.installation()


def weights() -> Iterator[Finding]:
    """Every model with a name against its recorded hashes, and what the default path lacks."""
    present = {path.name: path for path in models.entries()}
    for name, path in present.items():
        try:
            hashes = models.verify(path)
            yield Finding(f"model {name}", "ok", f"{len(hashes)} files as recorded, {path}")
        except UserError as error:
            yield Finding(f"model {name}", "error", str(error), f"dysenvdm models import {name}")
    for name in (models.DEFAULT_MODEL, models.PLANNER_MODEL, models.TEXT_MODEL):
        if name not in present:
            known = models.KNOWN.get(name)
            mend = (
                f"{known.mend} && dysenvdm models import {name}"
                if known
                else "install dysenvdm again: it ships with it"
            )
            yield Finding(f"model {name}", "error", "missing", mend)


def planner_plugins() -> Iterator[Finding]:
    """The planners that can be named, and plugins that could not be used."""
    from planners.plugins import broken_plugins, planner_names

    yield Finding("planners", "ok", ", ".join(planner_names()))
    for name, reason in broken_plugins().items():
        yield Finding(f"plugin {name}", "warning", reason, "mend it, or pip uninstall its distribution")


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _at_least(name: str, free: float, needed: float, mend: str) -> Finding:
    found = f"{free:.1f} GiB free"
    return Finding(name, "ok", found) if free >= needed else Finding(name, "warning", f"{found}, {needed} wanted", mend)
