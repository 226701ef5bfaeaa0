"""Terraform on one root of the rehearsal; states, plans and logs lie in the run's folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOTS = Path(__file__).parent / "roots"
SETTINGS = Path(__file__).resolve().parents[2] / "build" / "terraform.rc"


class TerraformFailed(Exception):
    """A command failed; the message holds the end of what it printed and where the rest is."""


@dataclass
class Root:
    """One root, one state, one Region."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, Any]
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def init(self) -> None:
        """Prepare the working folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "variables.tfvars.json").write_text(json.dumps(self.variables))
        self._run("init", "-reconfigure", f"-backend-config=path={self.folder / 'terraform.tfstate'}")

    def apply(self) -> None:
        """Create or change everything."""
        self._run("apply", "-auto-approve", *self._inputs())

    def destroy(self) -> None:
        """Delete everything."""
        self._run("destroy", "-auto-approve", *self._inputs())

    def pending_changes(self, label: str) -> str:
        """What a new plan would change; empty when nothing."""
        code = self._run("plan", "-detailed-exitcode", *self._inputs(), accepted=(0, 2), label=label)
        return "" if code == 0 else self.log(label).read_text()

    def outputs(self) -> dict[str, Any]:
        """Values of the outputs."""
        self._run("output", "-json")
        text = self.log("output").read_text()
        return {name: entry["value"] for name, entry in json.loads(text[text.index("{") :]).items()}

    def resources(self) -> list[str]:
        """Addresses of what the state holds."""
        state = json.loads((self.folder / "terraform.tfstate").read_text())
        return [f"{entry.get('module', 'root')}.{entry['type']}.{entry['name']}" for entry in state["resources"]]

    def log(self, command: str) -> Path:
        """File with what a command printed."""
        return self.folder / f"{command}.log"

    def stop(self) -> None:
        """End a command under way: gently, then by force."""
        process = self._process
        if process and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _inputs(self) -> tuple[str, ...]:
        return ("-input=false", f"-var-file={self.folder / 'variables.tfvars.json'}")

    def _run(self, command: str, *arguments: str, accepted: tuple[int, ...] = (0,), label: str = "") -> int:
        log = self.log(label or command)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))},
            **self.environment,
            "TF_CLI_CONFIG_FILE": str(SETTINGS),
            "TF_DATA_DIR": str(self.folder / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        command_line = ["terraform", f"-chdir={ROOTS / self.name}", command, *arguments]
        if command != "output":
            command_line.insert(3, "-no-color")
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                command_line,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = self._process.wait()
        if code not in accepted:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            raise TerraformFailed(f"terraform {command} of the {self.name} failed ({code}); all of it: {log}\n{tail}")
        return code
