"""Is what was restored equal to what there was? An oracle that shares no code with the snapshot engine.

    source  = Dump(path of pg_dump --snapshot=<the cut>)
    state   = Dump(path of a dump of the target after the state was restored, before it went live)
    end     = Dump(path of a dump of the target after the history was restored)
    results = compare(Sides(source, state, end, source_key, target_key, since))

Everything it knows about Airflow's tables is declared in `tables.py` and `schemas.py`; everything that may differ is
declared, with an oracle each, in `allowed.py`. A table nobody declared is compared by its primary key, value by value.
"""

from __future__ import annotations

from tests.rehearsal.comparator.allowed import COUNTED, COUNTED_BEFORE_2_10
from tests.rehearsal.comparator.canonical import users_rows
from tests.rehearsal.comparator.compare import Sides, TableResult, compare
from tests.rehearsal.comparator.dump import BadDump, Dump
from tests.rehearsal.comparator.tables import OWN_PREFIX

__all__ = [
    "COUNTED",
    "COUNTED_BEFORE_2_10",
    "OWN_PREFIX",
    "BadDump",
    "Dump",
    "Sides",
    "TableResult",
    "compare",
    "users_rows",
]
