"""Where slots are short, what this project does goes first: a snapshot that waits is old, a failover that waits is an
outage. Imported by the DAG files when they are parsed, hence nothing but this.
"""

from __future__ import annotations

#: Priority weight of its tasks.
FIRST = 1_000_000
