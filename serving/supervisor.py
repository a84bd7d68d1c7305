"""Starts a server's processes, starts again those that die, and ends them all in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dysenvdm import model_facts
from dysenvdm.generation.loading import used_models
from planners import plugins
from planners.dsg import UserError
from serving import offers
from serving.devices import Device, Places, find_gpus, places
from serving.housekeeping import keep_house
from serving.jobs import StoreUnavailable
from serving.memory import Measurements, identity_of, weights_bytes
from serving.process import GRACE_SECONDS, UNLOADED, Order, Role
from serving.results import Results
from serving.security import check_settings
from serving.settings import Settings
from serving.sharing import Decision, DeviceTooSmall, decide, on_device, said
from serving.store import open_store
from serving.workers.planning import LIGHT, planner_folders

Say = Callable[[str], None]

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds before a process that died is started again: doubled each time it dies again at once."""
HEALTHY_SECONDS = 20.0
"""Who lived so long did not die at once."""
_WATCH_SECONDS = 0.1


def check(settings: Settings) -> None:
    """Raise :class:`UserError` for what would only come to light when the processes run, or a job comes."""
    check_settings(settings)
    known = plugins.planner_names()
    for name, options in offers.planners(settings).items():
        if name not in known:
            raise UserError(f"--planner {name!r}: no such planner; there are: {', '.join(known)}")
        plugins.check_options(name, options)
        planner_folders(name, options)
    for given in offers.models(settings).values():
        used_models(given)
        model_facts.facts(given)


def listen(settings: Settings) -> socket.socket:
    """The API's socket, listening; it outlives the API's process, so that requests wait where that one is started anew.

    Raises :class:`UserError` where the address is in use, or not this machine's.
    """
    listening = None
    try:
        family, *_, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise UserError(f"--host {settings.host} --port {settings.port}: {error.strerror}; choose another") from None
    return listening


def address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def decisions(settings: Settings, where: Places) -> list[Decision]:
    """For each device how those on it will share it, by what was measured before.

    Raises :class:`DeviceTooSmall`, with the numbers, where one does not fit even alone.
    """
    told = []
    for device in dict.fromkeys((*where.generators, where.planner)):
        measurements = Measurements(settings.folder / "measured", device.name)
        budget = settings.memory_budget_bytes or device.memory
        peaks: dict[str, tuple[int, int] | None] = {}
        model, given = next(iter(offers.models(settings).items()))
        folders = used_models(given)
        for number, of_generator in enumerate(where.generators):
            if of_generator == device:
                name = f"generator {model}" if len(where.generators) == 1 else f"generator {number} {model}"
                peaks[name] = _peak(measurements, f"generator {model}", folders, {"model": model}, budget)
        planner, options = next(iter(offers.planners(settings).items()))
        if where.planner == device and planner not in LIGHT:
            folders, name = planner_folders(planner, options), f"planner {planner}"
            peaks[name] = _peak(measurements, name, folders, options, budget)
        told.append(
            decide(
                peaks,
                budget=budget,
                sharing=on_device(settings.sharing, device.kind),
                can_sleep=device.kind != "cpu",
                device=device.name,
            )
        )
    return told


def _peak(
    measurements: Measurements, what: str, folders: list[Path], options: Mapping[str, object], budget: int
) -> tuple[int, int] | None:
    """(bytes at rest, at most) as measured; None where it was not. Raises where the weights alone are too much."""
    measured = measurements.read(what, identity_of(folders, options))
    if measured is not None and measured.working:
        return measured.loaded, measured.peak
    if (least := weights_bytes(folders)) > budget:
        raise DeviceTooSmall(f"{what}: its weights alone are {said(least)}, and the device may give {said(budget)}")
    return None


@dataclass
class Child:
    """A process to keep alive."""

    name: str
    role: Role
    number: int = 0
    device: Device | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = 0.0
    due: float = 0.0
    """When to start it (monotonic seconds)."""


def children_of(where: Places) -> list[Child]:
    """The processes of a whole server."""
    several = len(where.generators) > 1
    generators = [
        Child(f"generator {number}" if several else "generator", "generator", number, device)
        for number, device in enumerate(where.generators)
    ]
    return [Child("API", "api"), Child("planner", "planner", device=where.planner), *generators]


@dataclass
class Supervisor:
    """``run`` keeps ``children`` alive until ``stop``. ``say`` prints a line for the operator; ``listening`` is the
    API's socket, where there is an API among them."""

    settings: Settings
    children: list[Child]
    say: Say
    listening: socket.socket | None = None

    def __post_init__(self) -> None:
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Until :meth:`stop`; then ends every process, and waits for it."""
        house = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)
        house.start()
        try:
            while not self._stopping.wait(_WATCH_SECONDS):
                for child in self.children:
                    self._watch(child)
        finally:
            self._stopping.set()
            self._end([child for child in self.children if child.role == "api"])
            self._end(self.children)
            house.join()

    # -- processes -------------------------------------------------------------------------------------------------

    def _watch(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.due:
                self._start(child)
            return
        status = child.process.poll()
        if status is None:
            return
        child.process = None
        if status == UNLOADED:
            child.delay, child.due = 0.0, now
            return
        quickly = now - child.started < HEALTHY_SECONDS
        child.delay = min(LONGEST_DELAY, child.delay * 2) if quickly and child.delay else FIRST_DELAY
        child.due = now + child.delay
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        self.say(f"the {child.name} process {how}; starting it again in {child.delay:g} s")

    def _start(self, child: Child) -> None:
        api = child.role == "api"
        handles = (self.listening.fileno(),) if api and self.listening else ()
        order = Order(
            role=child.role,
            # Workers have no use for secrets.
            settings=self.settings if api else self.settings.model_copy(update={"tokens": {}}),
            parent=os.getpid(),
            number=child.number,
            device=child.device,
            listening=handles[0] if handles else None,
        )
        environment = dict(os.environ)
        if child.device is not None and child.device.visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = child.device.visible
        elif api:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        child.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "serving.process", child.role],  # the role is for people who look at ps
            stdin=subprocess.PIPE,
            env=environment,
            pass_fds=handles,
            process_group=0,  # Ctrl-C in a terminal is for the supervisor alone
        )
        assert child.process.stdin is not None
        try:
            child.process.stdin.write(order.model_dump_json().encode())
            child.process.stdin.close()
        except BrokenPipeError:
            pass  # it died already; the next look tells
        child.started = time.monotonic()

    def _end(self, children: list[Child]) -> None:
        """SIGTERM to all, then SIGKILL to those that do not end."""
        alive = [child.process for child in children if child.process is not None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + 2 * GRACE_SECONDS
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- housekeeping ----------------------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        store, results = open_store(self.settings), Results(self.settings.folder)
        troubled = ""
        while not self._stopping.wait(min(self.settings.lease_seconds / 3, 10.0)):
            try:
                done = keep_house(store, results, self.settings)
            except (StoreUnavailable, UserError, OSError) as error:
                if str(error) != troubled:
                    self.say(f"housekeeping: {' '.join(str(error).split())}; trying again")
                troubled = str(error)
                continue
            troubled = ""
            if done.lost:
                self.say(f"{len(done.lost)} jobs of workers that are gone: put back, or failed after the last attempt")
        store.close()


def serve(settings: Settings, say: Say, started: Callable[[str, Places], None]) -> None:
    """Run a server until SIGTERM, SIGHUP or Ctrl-C. ``started`` is told the address, and who works where.

    Raises :class:`UserError` before anything is started.
    """
    check(settings)
    where = places(settings.generators, find_gpus())
    if settings.sharing == "sleep" and any(device.kind == "cpu" for device in (where.planner, *where.generators)):
        raise UserError("--sharing sleep: moves weights off a GPU, and there is none; use auto, coexist, turns, unload")
    open_store(settings).close()
    Results(settings.folder)
    for decision in decisions(settings, where):
        say(f"memory: {decision.text}")
    with listen(settings) as listening:
        supervisor = Supervisor(settings, children_of(where), say, listening)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop())
        started(address_of(listening), where)
        supervisor.run()
