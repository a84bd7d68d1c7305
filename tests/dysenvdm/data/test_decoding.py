"""Frames out of files: which are taken, how they are cut, and what damaged files come to."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dysenvdm.data.decoding import (
    Info,
    Sampling,
    UndecodableError,
    bucket_of,
    bucket_sizes,
    decode,
    examine,
)

MakeVideo = Callable[..., Path]
NumbersOf = Callable[[np.ndarray], list[int]]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm"])
def test_a_file_holds_the_frames_that_were_written(tmp_path: Path, make_video: MakeVideo, suffix: str) -> None:
    info = examine(make_video(tmp_path / f"clip{suffix}", 24, fps=8))
    assert (info.frames, info.height, info.width) == (24, 48, 64)
    assert info.seconds == pytest.approx(3.0, abs=2e-3)


def test_frames_are_taken_by_stride_from_a_start_that_moves(
    tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf
) -> None:
    path = make_video(tmp_path / "clip.mp4", 24, fps=8)
    info = examine(path)
    taken = {at: decode(path, info, None, Sampling(4, stride=3), (16, 16), at) for at in (0.0, 0.5, 0.999)}
    assert numbers_of(taken[0.0].frames) == [0, 3, 6, 9]
    assert numbers_of(taken[0.5].frames) == [7, 10, 13, 16]
    assert numbers_of(taken[0.999].frames) == [14, 17, 20, 23]
    assert taken[0.0].start == 0
    assert taken[0.999].end == 1


@pytest.mark.parametrize(("fps", "expected"), [(8, [0, 1, 2, 3]), (4, [0, 2, 4, 6]), (2, [0, 4, 8, 12])])
def test_frames_are_taken_at_the_target_rate(
    tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf, fps: float, expected: list[int]
) -> None:
    path = make_video(tmp_path / "clip.mp4", 24, fps=8)
    decoded = decode(path, examine(path), None, Sampling(4, fps=fps), (16, 16), 0.0)
    assert numbers_of(decoded.frames) == expected


def test_at_an_uneven_rate_the_frame_on_screen_is_taken(
    tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf
) -> None:
    times = [0.0, 0.1, 0.2, 0.3, 1.0, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6]
    path = make_video(tmp_path / "clip.mkv", 12, times=times)
    decoded = decode(path, examine(path), None, Sampling(4, fps=2), (16, 16), 0.0)  # at 0, 0.5, 1, 1.5
    assert numbers_of(decoded.frames) == [0, 3, 4, 4]


def test_spread_frames_cover_the_whole_span(tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf) -> None:
    path = make_video(tmp_path / "clip.mp4", 24, fps=8)
    decoded = decode(path, examine(path), (1.0, 3.0), Sampling(4, spread=True), (16, 16), 0.7)
    assert numbers_of(decoded.frames) == [10, 14, 18, 22]  # the middles of four quarters of frames 8 to 23
    assert (decoded.start, decoded.end) == (0, 1)


@pytest.mark.parametrize("sampling", [Sampling(4), Sampling(4, stride=2), Sampling(4, fps=4), Sampling(4, spread=True)])
def test_no_frame_is_from_outside_the_span(
    tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf, sampling: Sampling
) -> None:
    path = make_video(tmp_path / "clip.mp4", 24, fps=8)
    info = examine(path)
    assert sampling.too_short(info, (0.5, 2.0)) is None
    for at in np.linspace(0, 0.999, 7):
        numbers = numbers_of(decode(path, info, (0.5, 2.0), sampling, (16, 16), at).frames)
        assert numbers == sorted(set(numbers))
        assert min(numbers) >= 4
        assert max(numbers) < 16


@pytest.mark.parametrize(
    ("sampling", "span", "enough"),
    [
        (Sampling(24), None, True),
        (Sampling(25), None, False),
        (Sampling(12, stride=2), None, True),
        (Sampling(13, stride=2), None, False),
        (Sampling(12, fps=4), None, True),
        (Sampling(13, fps=4), None, False),
        (Sampling(8), (0.0, 1.0), True),
        (Sampling(9), (0.0, 1.0), False),
        (Sampling(8), (2.0, 9.0), True),
        (Sampling(9), (2.0, 9.0), False),
        (Sampling(1), (3.5, 9.0), False),
        (Sampling(24, spread=True), None, True),
        (Sampling(25, spread=True), None, False),
    ],
)
def test_too_short_is_what_does_not_give_the_frames(
    sampling: Sampling, span: tuple[float, float] | None, enough: bool
) -> None:
    assert (Sampling.too_short(sampling, Info(24, 3.0, 48, 64), span) is None) == enough


def test_what_is_too_short_is_said_in_numbers() -> None:
    said = Sampling(16, fps=8).too_short(Info(49, 49 / 30, 240, 432), None)
    assert said == "1.63 s are 13 frames at 8 fps; 16 are needed"


def test_the_centre_of_the_picture_is_kept(tmp_path: Path) -> None:
    import av

    path = tmp_path / "clip.mp4"
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, 24:72] = 200  # the square in the middle is bright, all else is black
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=8, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        for _ in range(4):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    info = examine(path)
    square = decode(path, info, None, Sampling(2), (32, 32), 0).frames
    assert square.shape == (2, 32, 32, 3)
    assert square[:, :, 1:-1].min() > 150
    whole = decode(path, info, None, Sampling(2), (32, 64), 0).frames
    assert whole[:, :, :12].max() < 60
    assert whole[:, :, 52:].max() < 60


@pytest.mark.parametrize("size", [64, 256, 512])
def test_buckets_have_about_the_same_area_and_every_shape_has_a_near_one(size: int) -> None:
    sizes = bucket_sizes(size)
    assert len(set(sizes)) == len(sizes)
    assert {(w, h) for h, w in sizes} == set(sizes)
    for height, width in sizes:
        assert height % (size // 8) == width % (size // 8) == 0
        assert abs(height * width / size**2 - 1) < 0.05
    assert sizes[bucket_of(Info(9, 1, 480, 480), sizes)] == (size, size)
    for aspect in (9 / 16, 3 / 4, 4 / 3, 16 / 9, 2.4):
        height, width = sizes[bucket_of(Info(9, 1, 1000, round(1000 * aspect)), sizes)]
        assert abs(math.log(width / height / aspect)) < 0.09


DAMAGE = {
    "empty": lambda data: b"",
    "text": lambda data: b"no video at all\n" * 100,
    "head": lambda data: data[:200],
    "noise": lambda data: data[:300] + np.random.default_rng(0).bytes(len(data) - 300),
}


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_an_error_with_a_reason(
    tmp_path: Path, make_video: MakeVideo, suffix: str, damage: str
) -> None:
    path = make_video(tmp_path / f"clip{suffix}")
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(UndecodableError) as error:
        examine(path)
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_with_damaged_frames_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "clip.avi", 60)
    data = bytearray(path.read_bytes())
    start = data.index(b"movi") + 4
    data[start + 400 : start + (len(data) - start) // 2] = bytes(((len(data) - start) // 2) - 400)
    path.write_bytes(bytes(data))
    try:
        left = examine(path).frames
    except UndecodableError:
        left = 0
    assert left < 60


def test_a_header_with_more_frames_than_bytes_never_reaches_the_decoder(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4")
    data = path.read_bytes()
    count = data.index(b"stts") + 12  # of the first run of frames
    path.write_bytes(data[:count] + b"\x7f\xff\xff\xff" + data[count + 4 :])
    with pytest.raises(UndecodableError, match="more frames than it has bytes"):
        examine(path)


def cut(whole: Path, path: Path, frames: int) -> Path:
    """Without its first frames, as ``ffmpeg -ss -c copy`` does it: they stay in the file, hidden by its edit list."""
    import av

    with av.open(str(whole)) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.pts is not None and packet.dts is not None and packet.duration:
                packet.pts, packet.dts = packet.pts - frames * packet.duration, packet.dts - frames * packet.duration
                packet.stream = stream
                file.mux(packet)
    return path


def test_of_a_lossless_cut_the_frames_are_taken_that_can_be_seen(
    tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf
) -> None:
    path = cut(make_video(tmp_path / "whole.mp4", 48), tmp_path / "cut.mp4", 7)
    info = examine(path)
    assert (info.frames, info.seconds) == (41, pytest.approx(41 / 8, abs=2e-3))
    frames = decode(path, info, None, Sampling(4, stride=2), (16, 16), 0.0).frames
    assert numbers_of(frames) == [7, 9, 11, 13]
    late = decode(path, info, (3.0, 5.0), Sampling(4, spread=True), (16, 16), 0.0).frames  # behind several key frames
    assert numbers_of(late) == [33, 37, 41, 45]


def test_a_lossless_cut_with_damaged_frames_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    path = cut(make_video(tmp_path / "whole.mp4", 48), tmp_path / "cut.mp4", 7)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat"), data.index(b"moov")
    data[(start + end) // 2 : end - 4] = bytes(end - 4 - (start + end) // 2)
    path.write_bytes(bytes(data))
    with pytest.raises(UndecodableError):
        examine(path)


def test_an_avi_that_was_cut_off_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "clip.avi", 80)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UndecodableError):
        examine(path)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_file_that_is_shorter_than_its_header_says_is_cut_off(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    path = make_video(tmp_path / f"clip{suffix}", 80)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UndecodableError, match=r"cut off \(\d\.\d s of the 10\.0 s in its header\): download it again"):
        examine(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_goes_on_after_the_frames_cuts_nothing_off(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    import av

    with (
        av.open(str(make_video(tmp_path / "silent.mp4"))) as source,
        av.open(str(tmp_path / f"a{suffix}"), "w") as file,
    ):
        video = file.add_stream_from_template(source.streams.video[0])
        sound = file.add_stream("aac", rate=8000)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                file.mux(packet)
        for i in range(40):  # 1024 samples each: 5.12 s beside 3 s
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, 1024 * i
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    assert examine(tmp_path / f"a{suffix}").frames == 24


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UndecodableError, match="gone"):
        decode(tmp_path / "gone.mp4", Info(9, 1, 8, 8), None, Sampling(4), (8, 8), 0)


@pytest.mark.parametrize("width", [24, 32, 48, 64, 96, 144])
def test_frames_of_every_width_are_the_pictures_that_they_are(
    tmp_path: Path, make_video: MakeVideo, numbers_of: NumbersOf, width: int
) -> None:
    path = make_video(tmp_path / "clip.mp4", 8, height=48, width=64)
    frames = decode(path, examine(path), None, Sampling(8), (width * 3 // 4, width), 0.0).frames
    assert frames.shape == (8, width * 3 // 4, width, 3)
    assert numbers_of(frames) == list(range(8))
