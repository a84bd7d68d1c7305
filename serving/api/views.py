"""Jobs as clients see them."""

from __future__ import annotations

from typing import Any

from serving.api.schemas import Failure, Plan, Video
from serving.jobs import Job, Status
from serving.requests import PlanWork, VideoWork

POLL_AFTER_MS = 500
"""How soon OpenAI's clients shall ask again."""


def video(job: Job) -> Video:
    work = VideoWork.model_validate(job.request)
    return Video(
        **_of_any(job, work),
        expires_at=_seconds(job.expires_at),
        model=work.model,
        size=f"{work.width}x{work.height}",
        seconds=f"{work.num_frames / work.fps:.6g}",
        remixed_from_video_id=job.remix_of,
        stage=job.stage,
        expired=job.expired,
        has_dsg=job.dsg is not None,
        num_frames=work.num_frames,
        fps=work.fps,
        num_inference_steps=work.num_inference_steps,
        guidance_scale=work.guidance_scale,
        scene_guidance=work.scene_guidance_scale,
        negative_prompt=work.negative_prompt,
        scheduler=work.scheduler,
        scene_mode=work.scene_mode,
        imagined_weight=work.imagined_weight,
    )


def plan(job: Job) -> Plan:
    return Plan(**_of_any(job, PlanWork.model_validate(job.request)), dsg=job.dsg)


def _of_any(job: Job, work: VideoWork | PlanWork) -> dict[str, Any]:
    """What plans and videos have in common."""
    return {
        "id": job.id,
        "status": job.status,
        "progress": progress(job),
        "created_at": int(job.created_at),
        "completed_at": _seconds(job.completed_at),
        "error": _failure(job),
        "prompt": work.prompt,
        "planner": work.planner,
        "ticks": work.ticks,
        "seed": work.seed,
        "degraded": _degraded(job),
    }


def progress(job: Job) -> int:
    """Per cent; 100 is said of completed jobs only."""
    return 100 if job.status is Status.COMPLETED else min(int(job.progress), 99)


def _seconds(at: float | None) -> int | None:
    return None if at is None else int(at)


def _failure(job: Job) -> Failure | None:
    return None if job.error is None else Failure(code=job.error.code, message=job.error.message)


def _degraded(job: Job) -> str | None:
    said = (job.plan or {}).get("degraded")
    return None if said is None else str(said)
