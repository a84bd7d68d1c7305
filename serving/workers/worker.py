"""What planner and generator workers have in common: their turns on the device, and the models they keep there."""

from __future__ import annotations

import json
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from planners.dsg import UserError
from serving import logs
from serving.device_lease import DeviceLease
from serving.jobs import JobStore, Stage, StoreUnavailable
from serving.memory import Gauge, GpuMemory, Measured, Measurements, identity_of, weights_bytes
from serving.results import Results
from serving.settings import Settings
from serving.sharing import DeviceTooSmall, Level, said
from serving.workers.holding import Holding

LOADS_OF_PATIENCE = 4.0
"""Who comes second on a device waits at least so many times as long as it takes to load what the first one has loaded:
so most of the time is spent on work, however big the models are."""
IDLE_SECONDS = 0.2
"""Between two looks at the queue, and at the others on the device."""


class Unloaded(Exception):  # noqa: N818
    """The process shall end, so that all memory is given back; whoever started it starts it anew."""


class Stopped(Exception):  # noqa: N818
    """What is under way is to be given up: the server ends, or nobody wants it any more."""


@dataclass(frozen=True)
class Workplace:
    """``name`` is the worker's, which no other process has or had; ``device`` is where models go ("cpu", "cuda")."""

    settings: Settings
    store: JobStore
    results: Results
    lease: DeviceLease
    gauge: Gauge
    measurements: Measurements
    name: str
    device: str = "cpu"


@dataclass
class Loaded:
    """A model in memory, and what is known of the memory it takes."""

    model: Any
    measured: Measured
    identity: str


class Worker(ABC):
    """One process's loop: wait for work, for the device, for jobs; do them; rest."""

    stage: ClassVar[Stage]
    role: ClassVar[str]

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.stopping = threading.Event()
        self.held: Holding | None = None
        self._loaded: dict[str, Loaded] = {}
        self._rested = 0
        self._asleep = False

    # -- what the two kinds do their own way -----------------------------------------------------------------------

    @property
    @abstractmethod
    def at_once(self) -> int:
        """How many jobs to claim."""

    @abstractmethod
    def work(self, held: Holding) -> None:
        """Do the jobs; what is not settled is given back. Calls :meth:`ready` before the model is used."""

    @abstractmethod
    def usual(self) -> str:
        """The name of the model that most jobs need."""

    @abstractmethod
    def folders(self, name: str) -> list[Path]:
        """Where a model's weights are; raises :class:`UserError` where they are not."""

    @abstractmethod
    def options(self, name: str) -> dict[str, Any]:
        """What besides its weights decides how much memory a model takes."""

    def counts(self, name: str) -> bool:
        """Whether a model takes memory of the device that is worth counting."""
        del name
        return True

    @abstractmethod
    def load(self, name: str) -> Any: ...

    @abstractmethod
    def sleep(self, model: Any) -> None:
        """Move the weights to main memory; asked for on GPUs only."""

    @abstractmethod
    def wake(self, model: Any) -> None: ...

    # -- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until ``stopping`` is set. Raises :class:`Unloaded` when others need all the room."""
        while not self.stopping.is_set():
            try:
                busy = self.turn()
            except StoreUnavailable as error:
                self.say(f"the job store does not answer ({error}); trying again")
                busy = self.stopping.wait(1.0)
            if not busy:
                self.stopping.wait(IDLE_SECONDS)

    def turn(self) -> bool:
        """One round; whether something was done."""
        place = self.place
        if not place.store.waiting()[self.stage]:
            place.lease.withdraw()
            self._come_down(place.lease.asked())
            return False
        if not self._granted(self.usual(), None):
            return False
        try:
            jobs = place.store.claim(self.stage, place.name, lease=place.settings.lease_seconds, limit=self.at_once)
            if not jobs:
                return False
            self.held = Holding(place.store, place.name, jobs, lease=place.settings.lease_seconds)
            with self.held, suppress(Stopped):
                self.work(self.held)
            return True
        finally:
            self._rest()

    def ready(self, held: Holding, name: str, size: int) -> Any:
        """The model, loaded, the device being ours for work of this size.

        Raises :class:`Stopped` where nobody wants the jobs any more, :class:`Unloaded` where another's turn comes
        first, and :class:`UserError` where the model cannot be loaded or the device is too small.
        """
        while not self._granted(name, size):
            if self.stopping.wait(IDLE_SECONDS) or not held.alive():
                raise Stopped
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name].model

    def measure_work(self, name: str, size: int, before: int) -> None:
        """Remember how much work of this size took, the process having held ``before`` when it began."""
        if not self.counts(name):
            return
        loaded = self._loaded[name]
        known = loaded.measured.work(size) if size in loaded.measured.working else None
        amount = max(0, self.place.gauge.peak() - before)
        if known is None or amount > known:
            loaded.measured = loaded.measured.with_work(size, amount)
            try:
                self.place.measurements.write(loaded.measured, loaded.identity)
            except (OSError, UserError) as error:  # a full disk: it is measured again after the next start
                self.say(f"what {name} takes was not written down: {error}")
            if known is None:
                self.say(
                    f"{name} takes {said(loaded.measured.loaded)}, and {said(amount)} more for work of size {size}"
                )

    def need(self, name: str, size: int | None) -> int | None:
        """Bytes at most while work of this size (None: as much as there ever was) is done; None where unknown."""
        rest = self._rested if self._asleep else self._resting()
        if not self.counts(name):
            return rest
        found = self._measured(name, size)
        return found and rest + found[1] + (0 if name in self._loaded else found[0])

    def _measured(self, name: str, size: int | None) -> tuple[int, int] | None:
        """What the model takes, loaded and for work of this size besides."""
        held = self._loaded.get(name)
        measured = held.measured if held else self.place.measurements.read(self.what(name), self._identity(name))
        if measured is None or not measured.working:
            return None
        work = measured.work(max(measured.working) if size is None else size)
        assert work is not None
        return measured.loaded, work

    def what(self, name: str) -> str:
        return f"{self.role} {Path(name).name}"

    def say(self, text: str) -> None:
        print(f"{self.role}: {text}", file=sys.stderr, flush=True)

    def say_trouble(self, what: str, error: Exception) -> None:
        """Say where an error came from that is nobody's mistake but ours, or a library's."""
        told = logs.trouble(error, said=self.place.settings.log_prompts)
        self.say(f"{what}: unexpected {json.dumps(told)}")

    def stop(self) -> None:
        """End soon: what is under way stops at its next step, and is given back."""
        self.stopping.set()

    # -- the device ------------------------------------------------------------------------------------------------

    def _granted(self, name: str, size: int | None) -> bool:
        lease = self.place.lease
        try:
            told = lease.request(self._checked_need(name, size), idle=self._resting())
        except DeviceTooSmall as error:
            lease.withdraw()
            fresh = self._measured(name, size)
            if self._loaded and fresh and sum(fresh) <= lease.budget:
                raise Unloaded from None  # it fits without other models, and what libraries do not give back
            if size is None:  # what is known is of bigger work than is asked for now
                return self._granted(name, 1)
            raise UserError(f"{self.what(name)}: {error}") from None
        if told.granted and self._asleep:
            for loaded in self._loaded.values():
                self.wake(loaded.model)
            self._asleep = False
        if told.down is not None:
            lease.withdraw()
            self._come_down(told.down)
        return told.granted

    def _checked_need(self, name: str, size: int | None) -> int | None:
        """Like :meth:`need`; raises where the weights alone are more than the budget."""
        need = self.need(name, size)
        if need is None and (least := weights_bytes(self.folders(name))) > self.place.lease.budget:
            raise DeviceTooSmall(
                f"its weights alone are {said(least)}, the device's memory is {said(self.place.lease.budget)}"
            )
        return need

    def _rest(self) -> None:
        if self._asleep:  # it came down for others before it had a turn
            self.place.lease.withdraw()
            return
        gauge = self.place.gauge
        gauge.reset_peak()
        self._rested = self._resting()
        self.place.lease.rest(self._rested, gauge.besides if isinstance(gauge, GpuMemory) else None)

    def _resting(self) -> int:
        """What the process holds of the device while it does not work."""
        return self.place.gauge.held() if any(map(self.counts, self._loaded)) else 0

    def _come_down(self, level: Level | None) -> None:
        if level is None or level >= Level.IDLE:
            return
        if level == Level.ASLEEP and self.place.lease.me.asleep is not None:
            for loaded in self._loaded.values():
                self.sleep(loaded.model)
            self._asleep = True
            self.place.lease.sleep()
        elif self._loaded:
            self.say("unloads, others need the device")
            raise Unloaded
        else:
            self.place.lease.gone()

    def _identity(self, name: str) -> str:
        return identity_of(self.folders(name), self.options(name))

    def _load(self, name: str) -> Loaded:
        gauge, lease = self.place.gauge, self.place.lease
        identity, what = self._identity(name), self.what(name)
        known = self.place.measurements.read(what, identity)
        if not self.counts(name):
            self.say(f"loads {name}")
        elif known is None:
            self.say(f"loads {name}, alone on the device ({said(lease.budget)}) to see how much memory it takes")
        else:
            self.say(f"loads {name}: up to {said(known.peak)} of {said(lease.budget)}")
        before, began = self._resting(), time.monotonic()
        model = self.load(name)
        lease.patience = max(lease.patience, LOADS_OF_PATIENCE * (time.monotonic() - began))
        if isinstance(gauge, GpuMemory):
            gauge.settle(alone=lease.me.held == lease.budget, known=known.loaded if known else None)
        taken = max(0, gauge.held() - before)
        measured = known or Measured(what=what, device=self.place.device, loaded=taken)
        return Loaded(model, measured.model_copy(update={"loaded": max(taken, measured.loaded)}), identity)
