"""Metadata databases: one PostgreSQL per Region, one database per environment, copied from a migrated template."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from tests.postgres import Cluster, ClusterError, bin_dir, migrate

_TEMPLATE_KEY = "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="  # encrypts nothing: a fresh schema holds no secrets


class Databases:
    """The clusters of all Regions below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._elsewhere: Path | None = None
        self._clusters: dict[str, Cluster] = {}
        self._watchers: list[subprocess.Popen[bytes]] = []
        self._templates: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def create(self, region: str, dbname: str, version: str, airflow_bin: Path) -> str:
        """Create the database of an environment with the schema of an Airflow version; returns its SQLAlchemy URL."""
        with self._lock:
            cluster = self._cluster(region)
            template = "template_" + version.replace(".", "_")
            if (region, template) not in self._templates:
                self._make_template(cluster, template, airflow_bin)
                self._templates.add((region, template))
            return cluster.create(dbname, template=template)

    def upgrade(self, region: str, dbname: str, airflow_bin: Path, fernet_key: str) -> None:
        """Bring an existing database to the schema of another Airflow version."""
        migrate(self._cluster(region), dbname, airflow_bin, fernet_key)

    def drop(self, region: str, dbname: str) -> None:
        """Drop the database of an environment."""
        with self._lock:
            self._cluster(region).drop(dbname)

    def stop(self) -> None:
        """Stop every cluster; none starts again."""
        with self._lock:
            self._stopped = True
            for watcher in self._watchers:
                watcher.kill()
                watcher.wait()
            for cluster in self._clusters.values():
                cluster.stop("immediate")
            self._clusters.clear()
            if self._elsewhere:
                shutil.rmtree(self._elsewhere)

    def pids(self) -> list[int]:
        """Process ids of the servers."""
        return [cluster.pid for cluster in list(self._clusters.values()) if cluster.pid]

    def _cluster(self, region: str) -> Cluster:
        if self._stopped:
            raise ClusterError("the stand-in is stopping")
        if region not in self._clusters:
            self._clusters[region] = Cluster(self._reachable_folder() / region).start()
            self._watchers.append(_watch(self._clusters[region]))
        return self._clusters[region]

    def _reachable_folder(self) -> Path:
        """The folder of the clusters; a temporary one where another user, as whom PostgreSQL runs, cannot enter."""
        self._folder.mkdir(parents=True, exist_ok=True)
        closed = any(not folder.stat().st_mode & 0o001 for folder in self._folder.resolve().parents)
        if os.geteuid() != 0 or not closed:
            return self._folder
        if self._elsewhere is None:
            self._elsewhere = Path(tempfile.mkdtemp(prefix="local-aws-postgres-"))
            self._elsewhere.chmod(0o755)
        return self._elsewhere

    def _make_template(self, cluster: Cluster, template: str, airflow_bin: Path) -> None:
        """Migrate an empty database, once for all Regions: the others load its dump in a tenth of the time."""
        cluster.drop(template)  # what an attempt that failed half-way left
        dump = self._folder / f"{template}.sql"
        if dump.exists():
            cluster.create(template)
            _run([bin_dir() / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", dump, cluster.dsn(template)])
        else:
            migrate(cluster, template, airflow_bin, _TEMPLATE_KEY)
            partial = dump.with_suffix(".partial")
            _run([bin_dir() / "pg_dump", "-f", partial, cluster.dsn(template)])
            partial.rename(dump)


def _watch(cluster: Cluster) -> subprocess.Popen[bytes]:
    """A process that stops the server when this process ends without having done so, however it ends."""
    script = 'cat > /dev/null; kill -QUIT "$1"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "watch-postgres", str(cluster.pid)],
        stdin=subprocess.PIPE,  # closes with us
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, check=False)
    if done.returncode:
        raise ClusterError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
