"""What a person sees while the rehearsal runs: one line per step, with elapsed times; a spinner on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status


@dataclass
class Span:
    """One step: when it began and ended, in epoch seconds."""

    name: str
    started: float
    ended: float | None = None


@dataclass
class Progress:
    """Prints steps as they go and remembers them for the report. Steps do not nest."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    started: float = field(default_factory=time.time)
    spans: list[Span] = field(default_factory=list)
    _status: Status | None = None

    def elapsed(self) -> str:
        """Time since the start, as mm:ss."""
        minutes, seconds = divmod(int(time.time() - self.started), 60)
        return f"{minutes:02d}:{seconds:02d}"

    def say(self, text: str, style: str = "") -> None:
        """Print one line with the time elapsed."""
        self.console.print(f"{self.elapsed()}  {text}", style=style, markup=False)

    def doing(self, text: str) -> None:
        """Say what the current step is waiting for; shown on a terminal only, because it changes all the time."""
        if self._status and self.spans:
            self._status.update(f"[bold]{self.spans[-1].name}[/bold] {text}")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step; a line when it begins (terminal: a spinner while it runs), a line when it ended."""
        span = Span(name, time.time())
        self.spans.append(span)
        if not self.console.is_terminal:
            self.say(f"{name} ...")
        else:
            self._status = self.console.status(f"[bold]{name}[/bold]")
            self._status.start()
        try:
            yield
        except BaseException:
            self._finish(span, "stopped", "red")
            raise
        self._finish(span, "done", "green")

    def _finish(self, span: Span, how: str, style: str) -> None:
        span.ended = time.time()
        if self._status:
            self._status.stop()
            self._status = None
        self.say(f"{span.name}: {how} ({span.ended - span.started:.0f} s)", style)
