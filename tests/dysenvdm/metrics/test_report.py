"""What a table says of a result, and that results survive being written."""

import json

from dysenvdm.metrics import Result, as_data, from_data, markdown

RESULT = Result(
    "faithfulness",
    "recall",
    "higher",
    "micro",
    0.5,
    2,
    interval=(0.25, 0.75),
    floor=0.1,
    ceiling=0.9,
    material={"fps": 8.0, "frames": [16, 24], "size": "64x64"},
    settings={"referee": "stage-referee"},
    weights={"stage-referee/model.safetensors": "0123456789abcdef"},
    pairs={"a": (1.0, 2), "b": (1.0, 2)},
)


def test_results_survive_json() -> None:
    assert from_data(json.loads(json.dumps(as_data([RESULT])))) == [RESULT]


def test_a_table_shows_spread_floor_ceiling_clips_and_weights() -> None:
    fvd = Result("fvd", "fvd", "lower", "set", 325.42, 2048, stderr=1.5, runs=10)
    nothing = Result("trirec", "trirec", "higher", "micro", None, 0)
    lines = markdown([RESULT, fvd, nothing]).splitlines()
    assert lines[2] == (
        "| faithfulness.recall ↑ | 0.500 (0.250-0.750) | 2 | 0.100 | 0.900 | 8 fps 16, 24 frames 64x64 "
        "| stage-referee:01234567 |"
    )
    assert lines[3].startswith("| fvd ↓ | 325.42 ± 1.500 | 2048 x 10 runs | - | - |")
    assert lines[4].startswith("| trirec ↑ | - | 0 |")
