"""``python -m serving.move FROM TO``: copy all jobs into an empty database, from SQLite to PostgreSQL or back.

The server must not run meanwhile. Results stay where they are: keep ``folder``.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path

from sqlalchemy import func, insert, select

from planners.dsg import UserError
from serving.database import Database
from serving.jobs import StoreUnavailable
from serving.tables import EVENTS, JOBS, TURNS

_ROWS = 500


def move(source: str, target: str) -> int:
    """How many jobs there are now; all or none were copied. Raises :class:`UserError`, :class:`StoreUnavailable`."""
    if source.startswith("sqlite:///") and not Path(source.removeprefix("sqlite:///")).is_file():
        raise UserError(f"{source}: there is no such file")
    with ExitStack() as stack:
        old, new = (stack.enter_context(closing(Database(url))) for url in (source, target))
        reading, writing = stack.enter_context(old.reading()), stack.enter_context(new.writing())
        if writing.scalar(select(func.count()).select_from(JOBS)):
            raise UserError(f"{new}: holds jobs already; name an empty database")
        for table in (JOBS, EVENTS, TURNS):
            rows = reading.execute(select(table)).mappings()
            while some := rows.fetchmany(_ROWS):
                writing.execute(insert(table), [dict(row) for row in some])
            if new.postgres and table is not TURNS:  # go on counting behind what was copied
                last = select(func.max(table.c.number)).scalar_subquery()
                column = func.pg_get_serial_sequence(table.name, "number")
                writing.execute(select(func.setval(column, func.greatest(last, 1))))
        return writing.scalar(select(func.count()).select_from(JOBS)) or 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {__doc__}")
    try:
        print(f"{move(sys.argv[1], sys.argv[2])} jobs copied; start the server with the new database")
    except (UserError, StoreUnavailable) as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
