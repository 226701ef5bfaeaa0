"""Throw-away PostgreSQL clusters, and databases with the real Airflow schema.

    cluster = Cluster(Path("/tmp/somewhere"))
    cluster.start()
    migrate(cluster, "airflow_template", Path("build/airflow/2.10.3/bin/airflow"), fernet_key)
    cluster.create("one", template="airflow_template")
    cluster.url("one")   # postgresql+psycopg2://airflow:...@127.0.0.1:PORT/one
    cluster.stop()

Databases belong to the ordinary role `airflow`, as on MWAA: what works here does not need a superuser.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg2
from psycopg2 import sql

#: PostgreSQL refuses to run as root; Debian's package brings this user.
SERVER_USER = "postgres"
SUPERUSER = "postgres"
OWNER = "airflow"

#: The auth manager of MWAA, whose users and roles are rows of the metadata database.
FAB_AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"

#: Nothing here outlives a test, so nothing needs to reach the disk.
FAST_AND_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class ClusterError(Exception):
    """A PostgreSQL program failed; the message holds what it printed."""


def bin_dir() -> Path:
    """Folder of the newest PostgreSQL's programs (initdb, postgres, pg_dump, psql)."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if packaged:
        return packaged[-1].parent
    found = shutil.which("initdb")
    if not found:
        raise ClusterError("no PostgreSQL server is installed (no initdb); the Debian package is `postgresql`")
    return Path(found).resolve().parent


class Cluster:
    """One PostgreSQL server on a free port of loopback; everything it writes is below `state_dir`.

    A stopped cluster can be started again, by this object or a new one on the same folder; its port may differ then.
    """

    def __init__(self, state_dir: Path, **settings: str) -> None:
        """`settings`: of the server, beside those that every throw-away one has."""
        self.state_dir = Path(state_dir).resolve()
        self._settings = settings
        self.data_dir = self.state_dir / "data"
        self.log = self.state_dir / "postgres.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._server_user = SERVER_USER if os.geteuid() == 0 else None

    @property
    def pid(self) -> int | None:
        """Process id of the server, None while it is stopped."""
        return self._process.pid if self._process else None

    def start(self) -> Cluster:
        """Initialise the data folder if it is new, start the server and wait until it answers."""
        if self._process:
            return self
        self._prepare_folder()
        if not (self.data_dir / "PG_VERSION").exists():
            self._initialise()
        attempts = 3
        for attempt in range(1, attempts + 1):
            try:
                self._launch()
                break
            except ClusterError:  # the free port may have been taken between finding and using it
                self.stop("immediate")
                if attempt == attempts:
                    raise
        self._ensure_owner()
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` closes sessions and writes a checkpoint, `immediate` is what a crash leaves."""
        process, self._process = self._process, None
        if not process:
            return
        if process.poll() is None:
            process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, dbname: str) -> str:
        """SQLAlchemy URL of a database, as the role that owns it."""
        return f"postgresql+psycopg2://{OWNER}:{self._password()}@127.0.0.1:{self.port}/{dbname}"

    def dsn(self, dbname: str, user: str = OWNER) -> str:
        """libpq URL of a database (psycopg2.connect, psql, pg_dump)."""
        return f"postgresql://{user}:{self._password()}@127.0.0.1:{self.port}/{dbname}"

    def create(self, dbname: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy of one nobody is connected to; returns its SQLAlchemy URL."""
        self._administer(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(dbname), sql.Identifier(OWNER), sql.Identifier(template or "template0")
            )
        )
        return self.url(dbname)

    def drop(self, dbname: str) -> None:
        """Drop a database if it exists, ending whatever is connected to it."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(dbname)))

    def _prepare_folder(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        if not self._server_user:
            return
        self.state_dir.chmod(0o755)
        closed = [folder for folder in self.state_dir.parents if not folder.stat().st_mode & 0o001]
        if closed:
            raise ClusterError(
                f"user {self._server_user} cannot reach {self.state_dir}: {closed[0]} is closed to others"
            )
        self.data_dir.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(self.data_dir, self._server_user, self._server_user)

    def _initialise(self) -> None:
        secret = self.state_dir / "password"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(16))
        if self._server_user:
            shutil.chown(secret, self._server_user, self._server_user)
        command = [bin_dir() / "initdb", "-D", self.data_dir, "-U", SUPERUSER, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            [str(part) for part in command],
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            user=self._server_user,
            group=self._server_user,
            extra_groups=[] if self._server_user else None,
            cwd="/",
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _launch(self) -> None:
        self.port = free_port()
        settings = {**FAST_AND_FORGETFUL, **self._settings, "port": str(self.port)}
        command = [str(bin_dir() / "postgres"), "-D", str(self.data_dir)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._server_user,
                group=self._server_user,
                extra_groups=[] if self._server_user else None,
                cwd="/",
                start_new_session=True,  # an interrupt from the terminal is for us; stop() ends it in order
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg2.connect(self.dsn("postgres", SUPERUSER)).close()
            except psycopg2.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ClusterError(f"PostgreSQL does not start: {error}\n{self._log_tail()}") from error
                time.sleep(0.03)
            else:
                return

    def _ensure_owner(self) -> None:
        role = sql.Identifier(OWNER)
        with psycopg2.connect(self.dsn("postgres", SUPERUSER)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (OWNER,))
            if not cursor.fetchone():
                cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(self._password())))
        connection.close()

    def _administer(self, statement: sql.Composed) -> None:
        connection = psycopg2.connect(self.dsn("postgres", SUPERUSER))
        try:
            connection.autocommit = True  # CREATE DATABASE runs in no transaction
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def _password(self) -> str:
        return (self.state_dir / "password").read_text()

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def free_port() -> int:
    """A TCP port of loopback that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def migrate(cluster: Cluster, dbname: str, airflow_bin: Path, fernet_key: str) -> None:
    """Bring a database (created here if it is missing) to the schema of an installed Airflow.

    `airflow_bin` is `<virtual environment>/bin/airflow`. Takes 4 to 8 seconds: do it once, then copy the database with
    `create(..., template=dbname)`.
    """
    with psycopg2.connect(cluster.dsn("postgres", SUPERUSER)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dbname,))
        missing = cursor.fetchone() is None
    connection.close()
    if missing:
        cluster.create(dbname)
    airflow_home = cluster.state_dir / f"airflow-{dbname}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))},
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__FERNET_KEY": fernet_key,
        "AIRFLOW__CORE__AUTH_MANAGER": FAB_AUTH_MANAGER,  # with it Airflow 3 migrates users and roles as well
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(airflow_home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": cluster.url(dbname),
    }
    done = subprocess.run(
        [str(airflow_bin), "db", "migrate"],
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"airflow db migrate failed:\n{done.stdout[-4000:]}")
