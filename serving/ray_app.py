"""The same server on several machines: the API, planners and generators as deployments of Ray Serve.

Each replica of the planner and of the generator keeps one worker process of ``dysenvdm serve`` alive
(:mod:`serving.supervisor`), on the GPU that Ray gave it; the API's replica runs the app of :mod:`serving.app`. They
know each other only through the job store, which has to be PostgreSQL, and the folder of results, which every machine
sees at the same path. So Ray's part is to place the replicas, to start them again elsewhere when a machine is gone,
and to have as many generators as there is work for.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import make_url

from planners.dsg import UserError
from serving.jobs import JobStore, Stage, Status
from serving.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application
    from ray.serve.config import AutoscalingContext

APP = "dysenvdm"
_PATIENCE = {
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "2",
}
"""For Serve's own processes: a busy machine may take longer to start them than Serve waits, and how much work there is
is told often enough to be of use."""
_SEEN_AT_ONCE = 1000


@dataclass(frozen=True)
class Scaling:
    """How fast the number of generators follows the work, in seconds."""

    up: float = 5.0
    down: float = 120.0
    look_back: float = 15.0


class Api:
    """A replica of the API; the others are named so that they belong to one application."""

    def __init__(self, settings: Settings, *others: object) -> None:
        del others
        self._settings = settings

    def __serve_build_asgi_app__(self) -> FastAPI:
        from serving.app import create_app
        from serving.results import Results
        from serving.store import open_store

        return create_app(self._settings, open_store(self._settings), Results(self._settings.folder))


class Keeper:
    """A replica that keeps one worker process alive, and keeps house as every supervisor does."""

    def __init__(self, role: Literal["planner", "generator"], settings: Settings) -> None:
        from serving.devices import find_gpus, places
        from serving.store import open_store
        from serving.supervisor import Child, Supervisor

        where = places(1, find_gpus())
        device = where.planner if role == "planner" else where.generators[0]
        self._store, self._max_batch = open_store(settings), settings.max_batch
        self._supervisor = Supervisor(settings, [Child(role, role, device=device)], _to_log)
        self._thread = threading.Thread(target=self._supervisor.run, name=role, daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        """Asked by Ray, which replaces a replica that raises."""
        if not self._thread.is_alive():
            raise RuntimeError("nobody keeps the worker alive any more")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Ray."""
        return {"wanted": wanted(self._store, self._max_batch)}

    def __del__(self) -> None:
        """Called by Ray when the replica is to end; what the worker holds is given back."""
        if hasattr(self, "_thread"):
            self._supervisor.stop()
            self._thread.join()


def wanted(store: JobStore, max_batch: int) -> int:
    """How many generators there is work for: those that are at work, and one for every batch that waits."""
    waiting = store.waiting()[Stage.GENERATE]
    under_way = store.list(kind="video", statuses=[Status.IN_PROGRESS], limit=_SEEN_AT_ONCE, order="asc").jobs
    working = {job.worker for job in under_way if job.worker and job.stage is Stage.GENERATE}
    return len(working) + math.ceil(waiting / max_batch)


def generators(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Serve's policy of autoscaling: what the replicas last told; where none did, all stays as it is."""
    told = (context.aggregated_metrics or {}).get("wanted", {})
    if not told:
        return context.target_num_replicas, {}
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(math.ceil(max(told.values())), least), most), {}


def application(settings: Settings, gpus: int, scaling: Scaling) -> Application:
    """The deployments: one API, one planner, up to ``settings.generators`` generators.

    Where the cluster has GPUs, each generator has one; the planner has one of its own if there are more than that.
    """
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
    from ray.serve.schema import LoggingConfig

    deployment: Any = serve.deployment
    quiet = LoggingConfig(enable_access_log=False)  # the API writes its own, without what clients search for
    workers = settings.model_copy(update={"tokens": {}})
    common: dict[str, Any] = {"logging_config": quiet, "health_check_period_s": 5, "graceful_shutdown_timeout_s": 30}
    planner = deployment(
        Keeper,
        name="Planner",
        ray_actor_options={"num_cpus": 1, "num_gpus": int(gpus > settings.generators)},
        **common,
    ).bind("planner", workers)
    generator = deployment(
        Keeper,
        name="Generator",
        ray_actor_options={"num_cpus": 1, "num_gpus": int(gpus > 0)},
        autoscaling_config=AutoscalingConfig(
            min_replicas=1,
            max_replicas=settings.generators,
            upscale_delay_s=scaling.up,
            downscale_delay_s=scaling.down,
            look_back_period_s=scaling.look_back,
            policy=AutoscalingPolicy(policy_function=f"{__name__}:{generators.__name__}"),
        ),
        **common,
    ).bind("generator", workers)
    api: Application = deployment(
        serve.ingress()(Api), name="Api", max_ongoing_requests=512, ray_actor_options={"num_cpus": 0}, **common
    ).bind(settings, planner, generator)
    return api


def check_ray(settings: Settings) -> None:
    """Raise :class:`UserError` for what several machines cannot share, and for a cluster that anybody may use."""
    if find_spec("ray") is None:
        raise UserError("--ray: needs Ray Serve; run: pip install 'dysenvdm[ray]'")
    if settings.database is None or make_url(settings.database).get_backend_name() != "postgresql":
        raise UserError("--ray: several machines need one job store; give --database postgresql://USER@HOST/NAME")
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise UserError(
            "--ray: whoever reaches a Ray cluster without tokens can run programs on it; set RAY_AUTH_MODE=token here "
            "and where 'ray start' runs, see docs/scaling-out.md"
        )


def serve_on_ray(settings: Settings, address: str, say: Callable[[str], None], scaling: Scaling = Scaling()) -> None:
    """Deploy to the Ray cluster at ``address`` ("auto": the one of this machine) until SIGTERM, SIGHUP or Ctrl-C.

    Raises :class:`UserError` before anything is deployed.
    """
    check_ray(settings)
    from serving.results import Results
    from serving.store import open_store
    from serving.supervisor import check

    check(settings)
    open_store(settings).close()
    Results(settings.folder)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions

    try:
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING, runtime_env={"env_vars": _PATIENCE})
    except (ConnectionError, ray.exceptions.RayError, ValueError, RuntimeError) as error:
        raise UserError(f"--ray {address}: {' '.join(str(error).split())}") from None
    gpus = int(ray.cluster_resources().get("GPU", 0))
    say(f"Ray: {len(ray.nodes())} machines, {gpus} GPUs")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host=settings.host, port=settings.port))
    try:
        serve.run(application(settings, gpus, scaling), name=APP)
        say(f"serving at http://{settings.host}:{settings.port} on Ray; Ctrl-C ends it")
        signal.pause()
    except KeyboardInterrupt:
        say("ending ...")
    finally:
        if set(serve.status().applications) <= {APP}:
            serve.shutdown()
        else:
            serve.delete(APP)
        ray.shutdown()


def _to_log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
