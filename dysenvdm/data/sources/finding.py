"""From a recipe's ``data.source`` to its clips, by the module of its data set."""

from __future__ import annotations

from typing import assert_never

from dysenvdm.data.entries import Found
from dysenvdm.data.section import (
    ActivityNetSource,
    FolderSource,
    MsrVttSource,
    Ucf101Source,
    VideoSource,
    WebVidSource,
)
from dysenvdm.data.sources import activitynet, folder, msrvtt, ucf101, webvid
from planners.dsg import UserError


def find(source: VideoSource, held_out: bool) -> Found:
    """The clips that are trained on, or those that are held out, in the data set's own order; nothing is decoded.

    What is wrong with a single clip makes it a :class:`~dysenvdm.data.entries.Rejected`. Raises :class:`UserError`
    where the data set as a whole is missing or empty, or a file of its annotations is not in the official format.
    """
    match source:
        case WebVidSource():
            found = webvid.find(source, held_out)
        case Ucf101Source():
            found = ucf101.find(source, held_out)
        case MsrVttSource():
            found = msrvtt.find(source, held_out)
        case ActivityNetSource():
            found = activitynet.find(source, held_out)
        case FolderSource():
            found = folder.find(source, held_out)
        case _:
            assert_never(source)
    lost = sum(rejected.reason == "missing file" for rejected in found.rejected)
    if lost and lost == len(found.entries) + len(found.rejected):
        raise UserError(
            f"data.source.root: 0 of {lost} {source.kind} clips are in {source.root}; expected {LAYOUTS[source.kind]}"
        )
    return found


LAYOUTS = {
    "webvid": webvid.LAYOUT,
    "ucf101": ucf101.LAYOUT,
    "msrvtt": msrvtt.LAYOUT,
    "activitynet": activitynet.LAYOUT,
    "folder": folder.LAYOUT,
}
"""How the files of each kind of source must lie in its root."""
