"""Which devices this machine has, and which worker goes where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from planners.dsg import UserError
from serving.memory import main_memory

_GPU_FILES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Without any of them there is no GPU, and torch need not be loaded to ask."""
_ASK = """
import json, torch
print(json.dumps([[torch.cuda.get_device_name(i), torch.cuda.get_device_properties(i).total_memory]
                  for i in range(torch.cuda.device_count())]))
"""


class Device(BaseModel):
    """``visible`` is what CUDA_VISIBLE_DEVICES says for its workers, None for the CPU; ``memory`` in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    name: str
    memory: int
    visible: str | None = None

    @property
    def kind(self) -> str:
        return "cpu" if self.visible is None else "cuda"


def find_gpus() -> list[Device]:
    """The GPUs that torch can use, asked in a process of its own: torch would stay in this one's memory."""
    if not any(Path(file).exists() for file in _GPU_FILES):
        return []
    asked = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise UserError(
            f"the GPUs cannot be asked for: {(asked.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
    found = json.loads(asked.stdout)
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(i) for i in range(len(found))]
    return [
        Device(key=f"gpu-{name.strip()}", name=f"GPU {name.strip()} ({title})", memory=memory, visible=name.strip())
        for name, (title, memory) in zip(names, found, strict=False)
    ]


class Places(BaseModel):
    """Where the planner and each generator work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    planner: Device
    generators: tuple[Device, ...]


def places(generators: int, gpus: Sequence[Device]) -> Places:
    """One generator per GPU; the planner has a GPU of its own where one is left, else it shares the first generator's.

    Without GPUs all share the processor and the main memory. Raises :class:`UserError` for more generators than GPUs.
    """
    if not gpus:
        cpu = Device(key="cpu", name=f"CPU ({os.cpu_count()} cores)", memory=main_memory())
        return Places(planner=cpu, generators=(cpu,) * generators)
    if generators > len(gpus):
        raise UserError(f"--generators {generators}: this machine has {len(gpus)} GPUs, and each generator needs one")
    planner = gpus[generators] if len(gpus) > generators else gpus[0]
    return Places(planner=planner, generators=tuple(gpus[:generators]))
