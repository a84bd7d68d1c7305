"""Classifier-free guidance with a scale of its own for the scene."""

from __future__ import annotations


def guidance_branches(text_scale: float, scene_scale: float, imagined_weight: float = 1.0) -> dict[str, float]:
    """What the network must be evaluated on and with which weight the answers are added.

    ``u + t (text - u) + s (stated + w (full - stated) - text)`` is ``(1-t) u + (t-s) text + s(1-w) stated + sw full``.
    A branch of weight 0 is left out, so one evaluation is enough without guidance and two with equal scales.
    """
    weights = {
        "uncond": 1 - text_scale,
        "text": text_scale - scene_scale,
        "stated": scene_scale * (1 - imagined_weight),
        "full": scene_scale * imagined_weight,
    }
    return {name: weight for name, weight in weights.items() if weight != 0}
