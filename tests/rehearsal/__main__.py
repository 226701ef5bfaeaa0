"""`python -m tests.rehearsal [--scenario NAME] [--airflow VERSION] [--dags PATH] [--history N] [--keep]`: lose an
environment, get it back, compare every row."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tests.rehearsal import history, verdict
from tests.rehearsal import report as reports
from tests.rehearsal.every import EVERY, INTERRUPTED, rehearse_every
from tests.rehearsal.progress import Progress
from tests.rehearsal.rehearsal import Rehearsal
from tests.rehearsal.report import Check, Report
from tests.rehearsal.scenario import Scenario
from tests.rehearsal.scenarios import SCENARIOS
from tests.rehearsal.terraform import TerraformFailed
from tests.rehearsal.waiting import NotReached

BUILD = Path(__file__).resolve().parents[2] / "build"
REPORTS = BUILD / "rehearsal"
USUAL = "backup_restore"


class Interrupted(BaseException):
    """A signal asked to stop."""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsal", description=__doc__)
    parser.add_argument("--scenario", default=USUAL, help=f"{', '.join(SCENARIOS)}, or all (default: %(default)s)")
    parser.add_argument("--airflow", default="2.10.3", help="version whose environment stands below build/airflow")
    parser.add_argument("--dags", type=Path, help="a DAG folder of your own, added to the workload")
    parser.add_argument("--history", type=int, default=0, help="task instances of a long history that the source has")
    parser.add_argument("--output", type=Path, default=REPORTS, help="folder of the report and of everything else")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, to look around")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the rehearsal; 0 if nothing differs and every check passed, 1 if not, 2 for bad input, 130 if interrupted."""
    options = _arguments(argv)
    wrong = _bad_input(options)
    if wrong:
        print(wrong, file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if options.scenario == EVERY:
        return _rehearse_every(options)
    progress = Progress()
    kind = SCENARIOS[options.scenario]
    folder = run_folder(options.output.resolve())
    users_dags = options.dags and options.dags.resolve()
    rehearsal = Rehearsal(folder, options.airflow, progress, kind.source, kind.target, users_dags, options.history)
    code, finished = 1, False
    try:
        report = _run(kind(rehearsal), options.output, keep=options.keep)
        code, finished = int(not report.passed), True
    except Interrupted:
        progress.say("interrupted; stopping everything", "red")
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever went wrong, all is stopped and the reason is said
        progress.say(f"{type(error).__name__}: {error}", "red")
    finally:
        if options.keep and finished:
            progress.say(f"left running at {rehearsal.local.url}; stop it with: kill {rehearsal.local.process.pid}")
        else:
            _ignore_signals()
            rehearsal.stop()
        progress.say(f"logs, states and dumps: {rehearsal.folder}")
    return code


def _rehearse_every(options: argparse.Namespace) -> int:
    users_dags = ["--dags", str(options.dags.resolve())] if options.dags else []
    try:
        return rehearse_every(list(SCENARIOS), ["--airflow", options.airflow, *users_dags], options.output.resolve())
    except Interrupted:
        return INTERRUPTED


def _bad_input(options: argparse.Namespace) -> str:
    if options.scenario not in {*SCENARIOS, EVERY}:
        return f"--scenario: {options.scenario}; accepted: {', '.join(SCENARIOS)}, {EVERY}"
    if options.scenario == EVERY and options.keep:
        return "--keep: accepted for one scenario, because the next one needs the machine"
    if not (BUILD / "airflow" / options.airflow / "bin" / "airflow").exists():
        return (
            f"--airflow: {options.airflow} is not set up below build/airflow; `make rehearse AIRFLOW={options.airflow}`"
        )
    if wrong := _bad_history(options):
        return wrong
    if options.dags and not options.dags.is_dir():
        return f"--dags: {options.dags} is no folder; accepted: a folder with DAG files"
    return ""


def _bad_history(options: argparse.Namespace) -> str:
    if not options.history:
        return ""
    taken = [name for name, kind in SCENARIOS.items() if kind.takes_history]
    if options.scenario not in taken:
        return f"--history: {options.history}; accepted: with --scenario {', '.join(taken)}"
    if options.airflow != history.AIRFLOW:
        return f"--history: {options.history}; accepted: with --airflow {history.AIRFLOW}, whose schema it is made for"
    if options.history < history.AT_LEAST:
        return f"--history: {options.history}; accepted: {history.AT_LEAST} task instances or more"
    return ""


def run_folder(output: Path) -> Path:
    """A fresh folder for the run: below the output where PostgreSQL's user can reach that, else a temporary one."""
    output.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(output / "run", ignore_errors=True)
    for name in ("report.json", "report.html"):
        (output / name).unlink(missing_ok=True)
    reachable = all(folder.stat().st_mode & 0o001 for folder in (output, *output.parents))
    folder = output / "run" if reachable else Path(tempfile.mkdtemp(prefix="rehearsal-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


def _run(scenario: Scenario, output: Path, keep: bool) -> Report:
    rehearsal, progress = scenario.rehearsal, scenario.rehearsal.progress
    rehearsal.start()
    scenario.play()
    with progress.step("compare"):
        tables, facts = verdict.compared(scenario), verdict.facts_of(scenario)
        found = verdict.checked(scenario, facts, tables)
    reports.write(verdict.reported(scenario, facts, tables, found), output)
    if not keep:
        found.append(_tear_down(scenario))
        rehearsal.stop()
        outlived = rehearsal.outlived
        found.append(Check("no process outlives the stand-in", not outlived, ", ".join(outlived) or "none did"))
    report = verdict.reported(scenario, facts, tables, found)
    as_json, as_html = reports.write(report, output)
    _say(progress, report)
    progress.say(f"report: {as_html} ({as_json.name} beside it)")
    return report


def _tear_down(scenario: Scenario) -> Check:
    """Destroy every root; what goes wrong there must not cost the report of what came before."""
    try:
        scenario.tear_down()
    except (TerraformFailed, NotReached) as error:
        return Check(verdict.LEAVES_NOTHING, False, str(error))
    return verdict.nothing_left(scenario.rehearsal.evidence)


def _say(progress: Progress, report: Report) -> None:
    for check in report.checks:
        progress.say(
            f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}", "" if check.passed else "red"
        )
    for table in report.tables:
        for line in table["differences"]:
            progress.say(f"DIFFERS {line}", "red")
    rows = sum(table["rows_source"] for table in report.tables)
    progress.say(f"{report.differences} differences in {rows} rows of {len(report.tables)} tables")
    for figure in report.story.figures:
        progress.say(f"{figure.name} {figure.seconds:.0f} s ({figure.meaning})")
    progress.say(", ".join(f"{part.label} {part.seconds:.0f} s" for part in report.story.parts))


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
