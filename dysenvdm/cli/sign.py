"""``dysenvdm sign``: a content credential (C2PA) for a video, made offline with a certificate of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.console import say
from dysenvdm.files import check_parent
from planners.dsg import UserError

app = typer.Typer(add_completion=False)


@app.command()
def sign(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="An .mp4 that dysenvdm made.")],
    certificate: Annotated[
        Path, typer.Option(metavar="CHAIN.pem", help="The signer's certificate, then those up to its authority.")
    ],
    key: Annotated[Path, typer.Option(metavar="KEY.pem", help="The signer's private key, PKCS #8, not encrypted.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.mp4", help="The signed video.")],
) -> None:
    """Sign a video and its recipe as made by a generative model (C2PA); "dysenvdm inspect" checks it."""
    from dysenvdm.airgap.credentials import sign_video

    check_parent(output)
    if output.suffix != ".mp4":
        raise UserError(f"{output}: the video is an .mp4 file; change the name given to -o")
    if output.resolve() == video.resolve():
        raise UserError(f"{output}: would be overwritten; choose another name for -o")
    sign_video(video, output, certificate=certificate, key=key)
    say(f"wrote {output}")
