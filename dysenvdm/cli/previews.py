"""``generate --preview``: a picture that grows while the video is denoised, one row of frames per look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dysenvdm.files import written_whole

if TYPE_CHECKING:
    from dysenvdm.video import Frames

ROWS = 5
"""Looks at one video."""


class PreviewSheet:
    """Draws what it is shown below what it was shown before, and writes the file anew each time."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[tuple[int, Frames]] = []

    def show(self, step: int, steps: int, videos: Frames) -> None:
        """``videos`` (b k h w 3): frames of the videos that are denoised together, side by side."""
        from PIL import Image, ImageDraw, ImageFont

        from dysenvdm.video import upscaled

        row = upscaled(videos.reshape(-1, *videos.shape[2:]), max(1, 128 // videos.shape[2]))
        self.rows.append((step, row))
        count, height, width, _ = row.shape
        font = ImageFont.load_default(14)
        margin = int(font.getlength(f"step {steps} ")) + 8
        sheet = Image.new("RGB", (margin + count * width, len(self.rows) * height), "white")
        draw = ImageDraw.Draw(sheet)
        for i, (done, frames) in enumerate(self.rows):
            draw.text((4, i * height + 4), f"step {done}", "black", font)
            for j, frame in enumerate(frames):
                sheet.paste(Image.fromarray(frame), (margin + j * width, i * height))
        with written_whole(self.file) as temporary:
            sheet.save(temporary)
