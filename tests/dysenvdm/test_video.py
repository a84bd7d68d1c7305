"""Video files: frames and recipe survive, bytes repeat, failures leave nothing; the contact sheet tells the truth."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageColor

from dysenvdm.files import folder_written_whole, written_whole
from dysenvdm.sheet import SOURCE_COLOURS, contact_sheet
from dysenvdm.video import Frames, read_mp4, read_recipe, upscaled, write_mp4
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError, tick_of_frame

RECIPE = {"prompt": 'a girl says "¡hola!" = 犬;\n#', "seed": 7, "nested": {"list": [1, 2.5, None]}}


def moving_square(frames: int = 16, height: int = 32, width: int = 48) -> Frames:
    video = np.full((frames, height, width, 3), (200, 220, 240), np.uint8)
    for i in range(frames):
        video[i, 8:24, i : i + 16] = (180, 40, 40)
    return video


def test_frames_and_recipe_survive(tmp_path: Path) -> None:
    video = moving_square()
    write_mp4(tmp_path / "a.mp4", video, 8, RECIPE)
    back = read_mp4(tmp_path / "a.mp4")
    assert back.shape == video.shape
    error = (back.astype(float) - video) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 30  # dB; 4:2:0 colour costs some at the square's edges
    assert read_recipe(tmp_path / "a.mp4") == RECIPE


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, moving_square(), 8, RECIPE)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_player_can_start_before_the_file_is_complete(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", moving_square(), 8, RECIPE)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_upscaling_makes_blocks() -> None:
    video = moving_square(frames=2)
    large = upscaled(video, 3)
    assert large.shape == (2, 96, 144, 3)
    assert np.array_equal(large[:, ::3, ::3], video)
    assert np.array_equal(large[:, 2::3, 2::3], video)


@pytest.mark.parametrize("shape", [(0, 32, 32, 3), (2, 31, 32, 3), (2, 32, 33, 3)])
def test_what_h264_cannot_hold_is_refused_and_leaves_nothing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="even sides"):
        write_mp4(tmp_path / "a.mp4", np.zeros(shape, np.uint8), 8, {})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*does not exist; create it"):
        write_mp4(tmp_path / "nowhere" / "a.mp4", moving_square(2), 8, {})


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    for read in (read_mp4, read_recipe):
        with pytest.raises(UserError, match=r"a\.mp4: cannot be read as a video"):
            read(tmp_path / "a.mp4")


@pytest.mark.parametrize("recipe", [b'{"seed": 1[', b'["seed", 1]', b'{"seed":\xff1}', b'"111111111"'])
def test_a_damaged_recipe_is_named(recipe: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_mp4(path, moving_square(2), 8, {"seed": 1})
    path.write_bytes(path.read_bytes().replace(b'{"seed": 1}', recipe))
    with pytest.raises(UserError, match=r"a\.mp4: (the recipe that it carries is|cannot be read as a video)"):
        read_recipe(path)


def test_a_video_without_a_recipe_says_so(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=8)
        stream.width = stream.height = 32
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(UserError, match="carries no recipe"):
        read_recipe(tmp_path / "a.mp4")


def test_a_failure_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_while_writing_keeps_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("first", "second"):
        with folder_written_whole(path) as fresh:
            (fresh / "a.txt").write_text(content)
    with pytest.raises(RuntimeError), folder_written_whole(path):
        raise RuntimeError
    assert (path / "a.txt").read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def graph() -> DynamicSceneGraph:
    return DynamicSceneGraph(
        prompt="A girl walks, then she jumps.",
        ticks=8,
        objects=(SceneObject(id="girl", label="girl"),),
        facts=(
            Fact(subject="girl", predicate="walk", start=0, end=3, source="plan"),
            Fact(subject="girl", predicate="jump", start=3, end=8, source="imagined"),
        ),
    )


def test_the_sheets_bars_span_exactly_the_frames_in_which_a_fact_holds() -> None:
    dsg, video = graph(), np.full((12, 16, 32, 3), 128, np.uint8)
    pixels = np.asarray(contact_sheet(video, dsg, columns=12, scale=3))
    for fact in dsg.facts:
        colour = ImageColor.getrgb(SOURCE_COLOURS[fact.source])
        row = np.argmax((pixels == colour).all(-1).sum(1))
        found = np.flatnonzero((pixels[row] == colour).all(-1))
        grey = np.flatnonzero((pixels[pixels.shape[0] // 4] == 128).all(-1))  # the frames' own columns
        held = [f for f in range(12) if fact.active(tick_of_frame(f, 12, dsg.ticks))]
        pitch = 32 * 3 + 4
        assert (found[0], found[-1]) == (grey[0] + held[0] * pitch, grey[0] + held[-1] * pitch + 32 * 3 - 1)


def test_a_sheet_needs_no_plan_and_shows_every_frame() -> None:
    video = np.stack([np.full((16, 16, 3), 10 * i + 5, np.uint8) for i in range(10)])
    pixels = np.asarray(contact_sheet(video, None, columns=4))
    for i in range(10):
        assert (pixels == 10 * i + 5).all(-1).sum() >= (16 * 3) ** 2 * 0.9


def test_a_sheet_takes_any_label() -> None:
    label = "wave at <b>$x_1$</b> 犬 " + "long " * 15
    dsg = graph().extended([Fact(subject="girl", predicate=label, start=0, end=8, source="user")])
    assert isinstance(contact_sheet(np.zeros((16, 64, 64, 3), np.uint8), dsg), Image.Image)


def test_names_in_an_older_encoding_do_not_make_a_video_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "old.avi"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "title"
        stream = file.add_stream("mjpeg", rate=8)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        for _ in range(2):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 90, np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    content = path.read_bytes()
    assert b"title\0" in content
    path.write_bytes(content.replace(b"title\0", b"t\xd3tle\0"))
    assert read_mp4(path).shape == (2, 16, 16, 3)
    with pytest.raises(UserError, match="carries no recipe"):
        read_recipe(path)
