"""The picture that comes with a video: decoded, checked, and encoded anew in the video's size: only pixels are kept."""

from __future__ import annotations

import io
import warnings

from serving.api.context import Context
from serving.api.errors import ApiError, bad
from serving.jobs import NewJob
from serving.requests import VideoWork

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 32 * 2**20
FIELD = "input_reference"


def with_picture(context: Context, new: NewJob, content: bytes) -> NewJob:
    """The job with the picture as its first frame; raises :class:`ApiError`."""
    most = context.settings.limits.upload_bytes
    if len(content) > most:
        raise ApiError(413, f"{FIELD}: {len(content)} bytes; this server takes up to {most}", "upload_too_large", FIELD)
    work = VideoWork.model_validate(new.request)
    upload = context.results.add_upload(encoded_anew(content, work.width, work.height))
    work = work.model_copy(update={"input_reference": upload})
    return new.model_copy(update={"request": work.model_dump(), "batch_key": work.batch_key(planned=False)})


def encoded_anew(content: bytes, width: int, height: int) -> bytes:
    """The picture as an RGB PNG of that size, transparent parts white, without anything else that was in the file: what
    :func:`dysenvdm.generation.first_frame.read_image` makes of it.

    Raises :class:`ApiError` for what is no picture, has too many pixels, moves, or has another aspect than the video.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            warnings.simplefilter("ignore")  # of odd metadata, which is thrown away; the size is checked here
            if opened.width * opened.height > MAX_PIXELS:
                raise bad(f"{FIELD}: {opened.width}x{opened.height}; up to {MAX_PIXELS} pixels are taken", FIELD)
            if getattr(opened, "n_frames", 1) > 1:
                raise bad(f"{FIELD}: has several frames; give a still picture", FIELD)
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except ApiError:
        raise
    except UnidentifiedImageError:
        raise ApiError(
            415, f"{FIELD}: no picture; give a PNG, JPEG or WebP file", "unsupported_picture", FIELD
        ) from None
    except Exception:  # decoders raise whatever they like at malformed data, and none of it is our fault
        raise bad(
            f"{FIELD}: broken; give a PNG, JPEG or WebP file that can be opened", FIELD, "broken_picture"
        ) from None
    # One pixel of the video more or less is rounding, not another aspect.
    if abs(upright.width * height - upright.height * width) > max(upright.size):
        raise bad(
            f"{FIELD}: {upright.width}x{upright.height} has another aspect than the video's {width}x{height}; "
            f"crop it, or give a size", FIELD,
        )  # fmt: skip
    white = Image.new("RGBA", upright.size, "white")
    fitted = Image.alpha_composite(white, upright).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    fitted.save(made, "PNG")
    return made.getvalue()
