"""One process of a server, as the supervisor starts it: ``python -m serving.process``, its order as JSON on standard
input (settings hold secrets, and command lines can be read by everybody)."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from planners.dsg import UserError
from serving.devices import Device
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.workers.worker import Worker

Role = Literal["api", "planner", "generator"]

UNLOADED = 3
"""Exit status of a worker that ended to give its memory back, and is to be started anew."""
GRACE_SECONDS = 5.0
"""How long what is under way may take to stop; after that it is given back, and the process ends in the middle."""
_PR_SET_PDEATHSIG = 1


class Order(BaseModel):
    """``number``: which of several generators; ``listening``: the file descriptor of the API's socket; ``parent``: the
    process to die with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    settings: Settings
    parent: int
    number: int = 0
    device: Device | None = None
    listening: int | None = None


def main() -> int:
    """Until told to end, or the parent is gone; the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all: the supervisor says when to end
    order = Order.model_validate_json(sys.stdin.read())
    die_with(order.parent)
    try:
        if order.role == "api":
            serve_api(order)
            return 0
        return run_worker(order)
    except UserError as error:
        print(f"{order.role}: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 2


def die_with(parent: int) -> None:
    """Have the kernel end this process (SIGTERM) when its parent does, however that happens."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before
        os._exit(1)


def serve_api(order: Order) -> None:
    import uvicorn

    from serving.app import UVICORN, create_app
    from serving.results import Results
    from serving.store import open_store

    assert order.listening is not None
    settings = order.settings
    store = open_store(settings)
    app = create_app(settings, store, Results(settings.folder))
    server = uvicorn.Server(uvicorn.Config(app, **UVICORN))
    server.run(sockets=[socket.socket(fileno=order.listening)])
    store.close()


def run_worker(order: Order) -> int:
    from serving.device_lease import DeviceLease
    from serving.memory import GpuMemory, MainMemory, Measurements
    from serving.results import Results
    from serving.sharing import on_device
    from serving.store import open_store
    from serving.workers.generating import GeneratorWorker
    from serving.workers.planning import PlannerWorker
    from serving.workers.worker import Unloaded, Workplace

    assert order.device is not None
    settings, device = order.settings, order.device
    party = f"{order.role}-{order.number}-{order.parent}"
    store = open_store(settings)
    place = Workplace(
        settings=settings,
        store=store,
        results=Results(settings.folder),
        lease=DeviceLease(
            device_folder(settings.folder, device),
            party,
            budget=settings.memory_budget_bytes or device.memory,
            sharing=on_device(settings.sharing, device.kind),
        ),
        gauge=MainMemory() if device.kind == "cpu" else GpuMemory(),
        measurements=Measurements(settings.folder / "measured", device.name),
        name=f"{socket.gethostname()}-{party}-{os.getpid()}-{secrets.token_hex(4)}",
        device=device.kind,
    )
    worker: Worker = PlannerWorker(place) if order.role == "planner" else GeneratorWorker(place)
    signal.signal(signal.SIGTERM, lambda *_: _stop(worker))
    try:
        worker.run()
    except Unloaded:
        return UNLOADED
    finally:
        place.lease.close()
        store.close()
    return 0


def device_folder(folder: Path, device: Device) -> Path:
    """Where the parties on a device of this host keep what they hold."""
    return folder / "devices" / socket.gethostname() / device.key


def _stop(worker: Worker) -> None:
    worker.stop()
    timer = threading.Timer(GRACE_SECONDS, _give_up, (worker,))
    timer.daemon = True
    timer.start()


def _give_up(worker: Worker) -> None:
    """What is under way does not stop: give its jobs back and end."""
    if worker.held is not None:
        worker.held.release([job.id for job in worker.held.alive()])
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
