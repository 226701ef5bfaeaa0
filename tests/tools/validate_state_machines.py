"""Validate every state machine template with the `asl-validator` package, its variables filled as Terraform would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.tools.lake_module import lake_module
from tests.tools.state_machine_templates import TEMPLATES, example_variables, render

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / "build" / "asl-validator" / "node_modules" / ".bin" / "asl-validator"


def main() -> int:
    """Exit code 1 if a template is no valid state machine, or if there is none."""
    templates = sorted(TEMPLATES.glob("*.asl.json"))
    folder = ROOT / "build" / "asl"
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    machines = {path.name: render(path.name.removesuffix(".asl.json"), example_variables()) for path in templates}
    machines["lake_merge.asl.json"] = json.loads(lake_module().machine())
    for name, definition in machines.items():
        filled = folder / name
        filled.write_text(json.dumps(definition, indent=2))
        done = subprocess.run(
            [VALIDATOR, "--json-path", filled], text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        print(f"state machine {name:28} {'ok' if done.returncode == 0 else 'FAILED'}")
        if done.returncode:
            failed += 1
            print(done.stdout, done.stderr)
    if not templates:
        print(f"no template in {TEMPLATES}", file=sys.stderr)
    return 1 if failed or not templates else 0


if __name__ == "__main__":
    sys.exit(main())
