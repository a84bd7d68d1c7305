"""The Stage world: clips per second on one core."""

from __future__ import annotations

from benchmarks.rows import Row, seconds

CLIPS = 60
PROMISED = 120


def run() -> list[Row]:
    from dysenvdm.stage import sample

    def render(first: int) -> float:
        def clips() -> None:
            for seed in range(first, first + CLIPS):
                sample(seed).render()

        return CLIPS / seconds(clips)

    render(0)
    rates = tuple(render(CLIPS * i) for i in range(1, 6))
    return [Row("Stage clips, 16 frames of 64x64", "/s", rates, PROMISED, at_least=True)]
