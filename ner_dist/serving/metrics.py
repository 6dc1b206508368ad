"""What the server counts, in Prometheus' format."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self, at_hand: Callable[[], int], waiting: Callable[[], int]) -> None:
        self.registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self.requests = Counter(
            "ner_dist_requests", "Requests that were answered.", ["path", "status"], registry=own
        )
        self.seconds = Histogram(
            "ner_dist_predict_seconds",
            "Seconds from a request of /predict to its answer.",
            buckets=_SECONDS,
            registry=own,
        )
        self.words = Counter("ner_dist_words", "Words that were tagged.", ["model"], registry=own)
        self.texts = Counter("ner_dist_texts", "Texts that were tagged.", ["model"], registry=own)
        self.batch_texts = Histogram(
            "ner_dist_batch_texts", "Texts that were tagged together.", buckets=_SIZES, registry=own
        )
        self.batch_requests = Histogram(
            "ner_dist_batch_requests", "Requests that were tagged together.", buckets=_SIZES, registry=own
        )
        for name, what, count in (
            ("ner_dist_requests_at_hand", "Requests that are read, wait or are tagged.", at_hand),
            ("ner_dist_requests_waiting", "Requests that wait for the model.", waiting),
        ):
            Gauge(name, what, registry=own).set_function(count)

    def text(self) -> bytes:
        """All counters as Prometheus reads them."""
        return generate_latest(self.registry)


class Observed:
    """Counts the answers of an app, and gives each of them the same headers."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, paths: frozenset[str], headers: dict[str, str]
    ) -> None:
        self.app, self.metrics, self.paths = app, metrics, paths
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given: list[Any] = list(message.get("headers", ()))
                known = {name for name, _ in given}
                message["headers"] = given + [each for each in self.headers if each[0] not in known]
            await send(message)

        path = scope["path"] if scope["path"] in self.paths else "other"
        try:
            await self.app(scope, receive, sending)
        finally:
            self.metrics.requests.labels(path, str(status)).inc()
            if path == "/predict" and status == 200:
                self.metrics.seconds.observe(time.perf_counter() - began)
