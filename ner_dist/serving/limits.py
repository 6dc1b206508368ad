"""Refuse requests that are too many, too large or too slow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

    from ner_dist.serving.settings import Limits

_READ_ON = 8
"""A body is read up to this many times the limit: a client that is cut off while it sends sees no answer."""


class Refused(Exception):
    """A request that is not answered, with the reason in one sentence for the client."""

    def __init__(self, status: int, why: str, **headers: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Admission:
    """Counts the requests at hand and those of each client; belongs to the thread of the event loop."""

    def __init__(self, limits: Limits) -> None:
        from limits import RateLimitItemPerMinute
        from limits.storage import MemoryStorage
        from limits.strategies import FixedWindowRateLimiter

        self.at_hand = 0
        self._limits = limits
        self._rate = RateLimitItemPerMinute(limits.rate)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def check_rate(self, client: str) -> None:
        """Count a request of a client.

        Raises:
            Refused: with 429, if there were too many in this minute.
        """
        if not self._limiter.hit(self._rate, client):
            why = f"You sent more than {self._limits.rate:,} requests in a minute, which is the limit."
            raise Refused(429, why, Retry_After="60")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a request as being at hand until the block ends.

        Raises:
            Refused: with 503, if too many are.
        """
        if self.at_hand >= self._limits.waiting:
            why = f"{self._limits.waiting:,} requests are waiting, which is the limit: try again soon."
            raise Refused(503, why, Retry_After="1")
        self.at_hand += 1
        try:
            yield
        finally:
            self.at_hand -= 1


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body of a request, counted while it is read.

    Raises:
        Refused: with 413 or 408, if it is too large or arrives too slowly.
        starlette.requests.ClientDisconnect: the client went away.
    """
    try:
        return await asyncio.wait_for(_counted(request, limits.bytes), limits.seconds)
    except asyncio.TimeoutError:
        why = f"The request did not arrive within {limits.seconds:g} seconds, which is the limit."
        raise Refused(408, why, Connection="close") from None


async def _counted(request: Request, most: int) -> bytes:
    body, size = bytearray(), 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            body += part
        else:
            body.clear()
        if size > _READ_ON * most:
            break
    if size > most:
        raise Refused(413, f"The body is larger than {most:,} bytes, which is the limit.", Connection="close")
    return bytes(body)
