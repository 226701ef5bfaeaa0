"""Install what a machine lacks: Debian packages, Python environments, the state-machine validator, Terraform settings.

Runs on the machine's own python3 with the standard library alone, before anything else is there. Everything but Debian
packages goes below build/. A second run finds each part in place and costs a fraction of a second.

    python3 tests/tools/set_up_machine.py [--airflow VERSION,...] PART...
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
REQUIREMENTS = ROOT / "requirements"
OLDEST_PYTHON = (3, 11)
OLDEST_TERRAFORM = (1, 9)

#: Where a provider mirror conventionally stands; Terraform itself looks into some of these only.
MIRROR_PARENTS = ("/opt", "/usr/share", "/usr/local/share", "~/.terraform.d")
PROVIDER_HOST = "registry.terraform.io"


class SetUpError(Exception):
    """The machine lacks something that cannot be installed from here."""


def say(text: str) -> None:
    print(f"set-up: {text}", flush=True)


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command quietly; show everything it printed if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise SetUpError(f"{' '.join(str(part) for part in command)} failed:\n{done.stdout}{done.stderr}")


def once(stamp_name: str, fingerprint: bytes, build: Callable[[], None], done_when: Path) -> None:
    """Build a part unless its stamp says that exactly this has been built and its result is there."""
    stamp = BUILD / ".set-up" / stamp_name
    wanted = hashlib.sha256(fingerprint).hexdigest()
    if done_when.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    build()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    say(f"{stamp_name} ready ({time.monotonic() - started:.0f} s)")


def debian_packages() -> list[str]:
    """Names of the Debian packages this machine lacks."""
    lacking = []
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and not shutil.which("initdb"):
        lacking.append("postgresql")
    if not shutil.which("npm"):
        lacking.append("npm")
    try:
        import ensurepip  # noqa: F401  (Debian splits it from python3)
    except ImportError:
        lacking.append("python3-venv")
    return lacking


def system() -> None:
    """Debian packages, and a check of what must come with the machine."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetUpError(f"python3 is {found}; accepted: {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    lacking = debian_packages()
    if not lacking:
        return
    if not shutil.which("apt-get"):
        raise SetUpError(f"please install: {', '.join(lacking)} (this machine has no apt-get to do it)")
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    say(f"installing Debian packages: {', '.join(lacking)}")
    # The package must not start a server of its own: tests start theirs, on a free port, as long as they need it.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run(*prefix, "apt-get", "update", "-q", env=quiet)
    run(*prefix, "apt-get", "install", "-q", "-y", "--no-install-recommends", *lacking, env=quiet)


def terraform() -> None:
    """Check Terraform, and write its settings: the provider from a local mirror where there is one."""
    binary = shutil.which("terraform")
    if not binary:
        raise SetUpError(f"terraform is not on PATH; accepted: {'.'.join(map(str, OLDEST_TERRAFORM))} or newer")
    shown = subprocess.run([binary, "version"], text=True, capture_output=True, check=True).stdout
    found = re.search(r"v(\d+)\.(\d+)", shown)
    if not found or (int(found[1]), int(found[2])) < OLDEST_TERRAFORM:
        raise SetUpError(f"terraform is {shown.split()[1]}; accepted: {'.'.join(map(str, OLDEST_TERRAFORM))} or newer")
    settings = BUILD / "terraform.rc"
    BUILD.mkdir(exist_ok=True)
    mirror = provider_mirror()
    text = "disable_checkpoint = true\n"
    if mirror:
        text += f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    if not settings.exists() or settings.read_text() != text:
        settings.write_text(text)
        say(f"Terraform's provider comes from {mirror or 'its registry'}")


def provider_mirror() -> Path | None:
    """The folder above `registry.terraform.io/hashicorp/aws` in a conventional place, three levels down at most."""
    for parent in MIRROR_PARENTS:
        top = Path(parent).expanduser()
        for pattern in ("", "*/", "*/*/", "*/*/*/"):
            for host in sorted(top.glob(pattern + PROVIDER_HOST)):
                if (host / "hashicorp" / "aws").is_dir():
                    return host.parent
    return None


def uv() -> Path:
    """The installer of everything else, itself hash-locked."""
    lock = REQUIREMENTS / "uv.txt"
    folder = BUILD / "boot"
    binary = folder / "bin" / "uv"

    def build() -> None:
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock)

    once("uv", lock.read_bytes() + sys.version.encode(), build, binary)
    return binary


def python_environment(name: str, folder: Path, lock: Path, done_when: Path) -> None:
    """A virtual environment that holds exactly what the lock file names."""
    installer = uv()

    def build() -> None:
        run(installer, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
        run(
            installer,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",  # once, not in each of the many processes that are started
            "--require-hashes",
            "--python",
            folder / "bin" / "python",
            "-r",
            lock,
        )

    once(name, lock.read_bytes() + sys.version.encode() + sysconfig.get_platform().encode(), build, done_when)


def tools() -> None:
    """The environment of tests, linters and the stand-in."""
    folder = BUILD / "venv"
    python_environment("tools", folder, REQUIREMENTS / "tools.txt", folder / "bin" / "pytest")


def security() -> None:
    """The environment of static analysis: apart, because it is large and only `make security` wants it."""
    folder = BUILD / "security"
    python_environment("security", folder, REQUIREMENTS / "security.txt", folder / "bin" / "checkov")


def airflow(wanted: str) -> None:
    """Every real Airflow of a list with commas (or `all`), each at the versions of the MWAA image."""
    locks = {path.stem.removeprefix("airflow-"): path for path in sorted(REQUIREMENTS.glob("airflow-*.txt"))}
    versions = list(locks) if wanted == "all" else [part.strip() for part in wanted.split(",")]
    if unknown := [version for version in versions if version not in locks]:
        raise SetUpError(f"Airflow {', '.join(unknown)} has no lock file; accepted: {', '.join(locks)}, all")
    for version in versions:
        folder = BUILD / "airflow" / version
        python_environment(f"airflow-{version}", folder, locks[version], folder / "bin" / "airflow")


def asl_validator() -> None:
    """The validator of the state machines (an npm package)."""
    source = REQUIREMENTS / "asl-validator"
    folder = BUILD / "asl-validator"

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder / name)
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", cwd=folder)

    once(
        "asl-validator",
        (source / "package-lock.json").read_bytes(),
        build,
        folder / "node_modules" / ".bin" / "asl-validator",
    )


def main(arguments: list[str]) -> int:
    """Set up the named parts. Exit code 1 with one clear line when the machine lacks something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--airflow", default="2.10.3", metavar="VERSION,...", help="which Airflow, or all (default: %(default)s)"
    )
    parts: dict[str, Callable[[], None]] = {
        "system": system,
        "terraform": terraform,
        "tools": tools,
        "airflow": lambda: airflow(chosen.airflow),
        "asl-validator": asl_validator,
        "security": security,
    }
    parser.add_argument("parts", nargs="+", choices=list(parts), metavar="PART", help=", ".join(parts))
    chosen = parser.parse_args(arguments)
    try:
        for part in chosen.parts:
            parts[part]()
    except SetUpError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
