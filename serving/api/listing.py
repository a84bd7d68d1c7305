"""What lists take: a cursor, a number, an order, words, states."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from serving.api.context import Caller, Context
from serving.api.errors import bad
from serving.jobs import Kind, Page, Status


class Paging(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: Annotated[str | None, Field(pattern=r"^[a-z0-9_]{1,64}$")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    search: Annotated[str | None, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = None
    status: list[Status] = Field([], max_length=5)


Asked = Annotated[Paging, Query()]


def page(context: Context, kind: Kind, caller: Caller, asked: Paging) -> Page:
    try:
        return context.store.list(
            kind=kind,
            owner=caller.sees,
            after=asked.after,
            limit=asked.limit,
            order=asked.order,
            search=asked.search or None,
            statuses=asked.status,
        )
    except LookupError:
        raise bad(f"after: there is no {kind} of that id", "after") from None


def ends(found: Page) -> dict[str, str | bool | None]:
    """What a list says besides its items."""
    first, last = (found.jobs[0].id, found.jobs[-1].id) if found.jobs else (None, None)
    return {"first_id": first, "last_id": last, "has_more": found.more}
