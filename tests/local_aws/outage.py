"""The outage switch: which Regions are down, and how a request to one of them fails."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

#: Belong to no Region, although their requests are signed for one: they stay up whatever Region is switched off.
GLOBAL_SERVICES = frozenset({"iam", "route53", "cloudfront", "organizations", "budgets"})


class Outages:
    """The set of Regions that are switched off, and which of them are only cut off: they live on by themselves."""

    def __init__(self) -> None:
        self._down: dict[str, bool] = {}
        self._lock = threading.Lock()

    def set(self, region: str, down: bool, cut_off: bool = False) -> None:
        """Switch a Region off (`down`) or on again."""
        with self._lock:
            if down:
                self._down[region] = cut_off
            else:
                self._down.pop(region, None)

    def is_down(self, region: str) -> bool:
        """Whether the Region is switched off."""
        with self._lock:
            return region in self._down

    def reachable(self, region: str, inside: frozenset[str] = frozenset()) -> bool:
        """Whether the Region answers who is inside of these ones: one that is cut off answers those in it, and they
        reach nothing else."""
        with self._lock:
            apart = any(self._down.get(own) for own in inside - {region})
            return not apart and (region not in self._down or (self._down[region] and region in inside))

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
