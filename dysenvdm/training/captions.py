"""A corpus' captions against what the text encoder reads, before the first step instead of in the middle of a run."""

from __future__ import annotations

from dysenvdm.data.corpora import Corpus
from dysenvdm.text import TextEncoder
from planners.dsg import UserError


def check_captions(corpus: Corpus, encoder: TextEncoder) -> None:
    """Raise :class:`UserError` for the first caption of a finite corpus with more tokens than ``encoder`` reads."""
    for clip in range(corpus.clips):
        for caption in corpus.told(clip).captions:
            # A token has at least a byte, and most captions are short: few are really split.
            if len(caption.encode()) > encoder.max_tokens - 2 and (unread := encoder.unread(caption)):
                raise UserError(
                    f"model.max_tokens: {corpus.name(clip)}: a caption has more than {encoder.max_tokens} tokens, "
                    f"{unread[:40]!r}… is not read; raise it (what starts from model.init keeps its own), or shorten "
                    f"the caption; 'dysenvdm check-data' names all such clips"
                )
