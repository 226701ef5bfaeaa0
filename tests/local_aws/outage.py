"""The outage switch: which Regions are down, and how a request to one of them fails."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

#: Belong to no Region, although their requests are signed for one: they stay up whatever Region is switched off.
GLOBAL_SERVICES = frozenset({"iam", "route53", "cloudfront", "organizations", "budgets"})


class Outages:
    """The set of Regions that are switched off."""

    def __init__(self) -> None:
        self._down: set[str] = set()
        self._lock = threading.Lock()

    def set(self, region: str, down: bool) -> None:
        """Switch a Region off (`down`) or on again."""
        with self._lock:
            if down:
                self._down.add(region)
            else:
                self._down.discard(region)

    def is_down(self, region: str) -> bool:
        """Whether the Region is switched off."""
        with self._lock:
            return region in self._down

    def down(self) -> list[str]:
        """Every Region that is switched off, sorted."""
        with self._lock:
            return sorted(self._down)


def reset_connection(environ: dict[str, Any]) -> None:
    """Make the client of this request see a connection reset.

    Closing a socket that lingers for zero seconds sends RST in place of FIN; the server closes it when
    ConnectionResetError reaches it.
    """
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError("the Region is switched off")
