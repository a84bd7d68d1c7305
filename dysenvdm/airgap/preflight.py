"""What a machine without a network must have, looked at in seconds; every finding comes with its mend."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dysenvdm import models
from dysenvdm.airgap.installer.state import STATE, prefix_states
from dysenvdm.offline import SWITCHES

WEIGHTS_TO_MEMORY = 1.5
"""Memory that a model is given beside its weights, as a factor: activations, caches and the libraries' own."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``mend`` says what to do unless the level is "ok"."""

    name: str
    level: Literal["ok", "warning", "error"]
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Gpu:
    """A GPU as torch sees it; ``memory`` in bytes."""

    name: str
    memory: int


def driver_cuda() -> tuple[int, int] | None:
    """The CUDA version that the installed NVIDIA driver runs, or None without one."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def torch_and_driver(build: str | None, driver: tuple[int, int] | None, gpus: Sequence[Gpu]) -> Finding:
    """Whether torch's CUDA ``build`` ("13.0", None for the CPU) and the driver fit, and what they find."""
    said = "no NVIDIA driver" if driver is None else f"the driver runs CUDA {driver[0]}.{driver[1]}"
    if build is None:
        if driver is None:
            return Finding("cuda", "ok", "torch for CPUs, no NVIDIA driver")
        mend = "a bundle created with torch for CUDA uses the GPU (docs/airgap.md)"
        return Finding("cuda", "warning", f"torch is built for CPUs only, {said}", mend)
    if driver is None:
        mend = "install the NVIDIA driver; without it everything runs on the CPU"
        return Finding("cuda", "warning", f"torch for CUDA {build}, {said}", mend)
    if int(build.partition(".")[0]) > driver[0]:
        mend = f"install a driver for CUDA {build} or newer, or a torch built for CUDA {driver[0]}"
        return Finding("cuda", "error", f"torch for CUDA {build}, but {said}", mend)
    if not gpus:
        mend = "look at nvidia-smi and CUDA_VISIBLE_DEVICES; may this user open /dev/nvidia*?"
        return Finding("cuda", "error", f"torch for CUDA {build}, {said}, but torch sees no GPU", mend)
    return Finding("cuda", "ok", f"torch for CUDA {build}, {said}")


def memory_for_models(gpus: Sequence[Gpu], memory: int) -> Iterator[Finding]:
    """The models against the memory that they would be loaded into: of every GPU, or of the machine (in bytes)."""
    for path in models.entries():
        size = sum(file.stat().st_size for file in path.rglob("*.safetensors"))
        needed = size * WEIGHTS_TO_MEMORY
        for place in gpus or [Gpu("this machine", memory)]:
            if needed > place.memory:
                found = f"wants about {needed / 2**30:.1f} GiB, {place.name} has {place.memory / 2**30:.1f}"
                mend = "use a smaller model, or a device with more memory"
                yield Finding(f"memory for {path.name}", "warning", found, mend)
    for gpu in gpus:
        yield Finding("gpu memory", "ok", f"{gpu.name}, {gpu.memory / 2**30:.1f} GiB")


def write_access(folders: Mapping[str, Path]) -> Iterator[Finding]:
    """Whether files can be made in folders (by name of their use), or in the nearest one above that exists."""
    for name, folder in folders.items():
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"x")
            yield Finding(f"write to {name}", "ok", str(folder))
        except OSError as error:
            mend = f"sudo chown $USER {there}, or choose another folder"
            level: Literal["warning", "error"] = "error" if name == "temporary folder" else "warning"
            yield Finding(f"write to {name}", level, f"{there}: {error.strerror}", mend)


def offline_switches(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What keeps the libraries off the network, and proxies that would lead there."""
    wrong = [f"{name}={value}" for name, value in SWITCHES.items() if environment.get(name) != value]
    if wrong:
        yield Finding("offline switches", "warning", "not set: " + ", ".join(wrong), f"export {' '.join(wrong)}")
    else:
        yield Finding("offline switches", "ok", ", ".join(SWITCHES))
    proxies = [name for name in environment if name.lower() in _PROXIES and environment[name]]
    direct = environment.get("no_proxy", "") + environment.get("NO_PROXY", "")
    if proxies and not ("localhost" in direct and "127.0.0.1" in direct) and direct != "*":
        mend = "unset them, or export NO_PROXY=localhost,127.0.0.1, or local servers are asked through the proxy"
        yield Finding("proxy", "warning", f"{', '.join(sorted(proxies))} set", mend)


def port(number: int, host: str = "127.0.0.1") -> Finding:
    """Whether a server could listen there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
        except OSError as error:
            mend = f"give the server another port, or see who has it: ss -ltnp 'sport = :{number}'"
            return Finding(f"port {number}", "warning", f"{host}:{number}: {error.strerror}", mend)
    return Finding(f"port {number}", "ok", f"{host}:{number} is free")


def installation(environment: Path | None = None) -> Iterator[Finding]:
    """The state of the installed bundle that this program runs in, and of the versions beside it."""
    version = (environment or Path(sys.prefix)).parent
    if not (version / STATE).exists() and version.parent.name != "versions":
        yield Finding("bundle", "ok", "not installed from a bundle")
        return
    prefix = version.parents[1]
    for name, wrong in prefix_states(prefix).items():
        mend = f"install its bundle again: dysenvdm bundle install DIR --prefix {prefix}"
        if name == version.name:
            more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
            found = f"{wrong[0]}{more}" if wrong else "every file in place"
            yield Finding(
                f"bundle {name}", "error" if wrong else "ok", found, f"rm -r {version}, then {mend}" if wrong else ""
            )
        elif wrong:
            yield Finding(f"bundle {name}", "warning", wrong[0], mend)
        else:
            yield Finding(f"bundle {name}", "ok", f"installed beside; dysenvdm bundle use {name} --prefix {prefix}")


def places() -> dict[str, Path]:
    """The folders that commands write to."""
    return {
        "model store": models.home(),
        "temporary folder": Path(tempfile.gettempdir()),
        "this folder": Path(os.curdir),
    }
