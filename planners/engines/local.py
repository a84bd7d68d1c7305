"""What engines on a local model folder share: is it one, a chat as tokens, and replies without spare blanks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planners.dsg import UserError
from planners.engines import Request, TooLongError


def check_model_folder(folder: Path) -> None:
    """Raise :class:`UserError` where a folder is no transformers model."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json in this folder; a planner's model is a local transformers folder")


def prompt_tokens(tokenizer: Any, request: Request, *, limit: int, name: str, thinking: int = 0) -> list[int]:
    """A request's chat as token ids, by the model's own chat template.

    Prompt, reply and ``thinking`` tokens beside the reply may be ``limit`` together. Raises :class:`TooLongError`,
    naming the engine and the numbers, where they are more, and :class:`UserError` where the model knows no chats.
    """
    chat = [message.model_dump() for message in request.messages]
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}: no chat template ({reason}); use an instruction-tuned model") from None
    tokens: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    reply = request.max_tokens + thinking
    if len(tokens) + reply > limit:
        raise TooLongError(f"{name}: {len(tokens)} prompt and {reply} reply tokens exceed {limit}; shorten", request)
    return tokens


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema for llguidance with the blanks between JSON tokens fixed, so that no reply loops on them."""
    blanks = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return {**schema, "x-guidance": blanks}
