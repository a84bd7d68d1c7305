"""The same server on several machines: API, planner and generators as deployments of Ray Serve.

``python -m serving.ray_app SETTINGS`` deploys what a YAML file of :class:`serving.settings.Settings` describes to the
Ray cluster that this machine belongs to, and stays until it is stopped. The deployments run the API and the workers of
``dysenvdm serve``, unchanged: they know each other only through the job store, which has to be PostgreSQL, and the
folder of results, which every machine has to see at the same path. Ray starts again what died, wherever there is room.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Literal

from serving.jobs import Stage
from serving.settings import Settings

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext
    from starlette.applications import Starlette

APP = "dysenvdm"
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}
"""What Ray has to be started with on every machine; see docs/scaling-out.md."""
_PATIENCE = {
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "2",
}
"""For Serve's own processes: loading the program may take longer than Ray expects, and the number of waiting jobs is
told often enough to be of use."""


class Api:
    """The HTTP API and the page; a deployment's replica."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __serve_build_asgi_app__(self) -> Starlette:
        from serving.app import create_app
        from serving.results import Results
        from serving.store import open_store

        return create_app(self.settings, open_store(self.settings), Results(self.settings))


class Worker:
    """A worker's loop in a thread of a replica. Ray replaces the replica when the loop has ended by an error."""

    def __init__(self, settings: Settings, stage: Literal["plan", "generate"]) -> None:
        from serving.workers import open_worker

        self._worker = open_worker(settings, Stage(stage))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._worker.run, args=(self._stop,), daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        if not self._thread.is_alive():
            raise RuntimeError("the worker has ended")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """How many batches wait for a generator, and whether this one is at work."""
        return {}

    def __del__(self) -> None:  # Ray's way of asking a replica to end
        if hasattr(self, "_thread"):
            self._stop.set()
            self._thread.join()


def generators_wanted(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """As many generators as are at work, and one for each batch that waits."""
    told = context.aggregated_metrics or {}
    waiting, working = told.get("waiting", {}), told.get("working", {})
    if not waiting:
        return context.target_num_replicas, {}
    wanted = math.ceil(max(waiting.values()) + sum(working.values()))
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(wanted, least), most), {}
