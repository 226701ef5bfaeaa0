"""Where slots are short, what this project does goes first: a snapshot that waits is old, a failover that waits is an
outage. And once it runs, it may take as long as it takes. Imported by the DAG files when they are parsed, hence nothing
but this.
"""

from __future__ import annotations

from datetime import timedelta

#: Priority weight of its tasks.
FIRST = 1_000_000
#: Execution timeout of those that move data or wait: the environment's core.default_task_execution_timeout is meant for
#: the tasks of others. Not None, which Airflow 2 cannot read back where that option is set.
UNHURRIED = timedelta(days=7)
