"""Where slots are short, what this project does goes first: a snapshot that waits is old, a failover that waits is an
outage. And once it runs, it may take as long as it takes, but for the guard. Imported by the DAG files when they are
parsed, hence nothing but this.
"""

from __future__ import annotations

from datetime import timedelta

#: Priority weight of its tasks.
FIRST = 1_000_000
#: Execution timeout of those that move data or wait: the environment's core.default_task_execution_timeout is meant for
#: the tasks of others. Not None, which Airflow 2 cannot read back where that option is set.
UNHURRIED = timedelta(days=7)
#: Seconds between two looks of the guard at the lease.
GUARD_SECONDS = 60
#: Seconds from the moment at which a Region's lease table shows another holder until no task starts there any more: one
#: period until the guard's next run is due, and one in which that run ends, or is ended by its time-out.
FENCE_SECONDS = 2 * GUARD_SECONDS
#: Execution timeout of the guard, the start of its task left out.
GUARD_TIMEOUT = timedelta(seconds=GUARD_SECONDS - 10)
