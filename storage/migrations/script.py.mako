"""${message}

Written by hand from here on. Then: add "${up_revision}" to MIGRATIONS in storage/database.py; change
storage/models.py alike; keep STRICT, AUTOINCREMENT and the partial indexes where a table is copied.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
