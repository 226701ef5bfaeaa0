"""The scenarios, by the name that `make rehearse SCENARIO=...` takes: that of their module."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rehearsal.scenario import Scenario
from tests.rehearsal.scenarios.backup_restore import BackupRestore
from tests.rehearsal.scenarios.drill import Drill
from tests.rehearsal.scenarios.events import Events
from tests.rehearsal.scenarios.failback import Failback
from tests.rehearsal.scenarios.hibernate import Hibernate
from tests.rehearsal.scenarios.hot_standby import HotStandby
from tests.rehearsal.scenarios.split_brain import SplitBrain
from tests.rehearsal.scenarios.warm_standby import WarmStandby

SCENARIOS: Mapping[str, type[Scenario]] = {
    scenario.name: scenario
    for scenario in (BackupRestore, Drill, Events, Failback, Hibernate, HotStandby, SplitBrain, WarmStandby)
}
