"""The HTTP interface: tag texts, and tell how the server is."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Security
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ner_dist import __version__
from ner_dist.prediction.items import Item
from ner_dist.serving.batching import BatchCounts, Batcher
from ner_dist.serving.limits import Admission, Refused, read_body
from ner_dist.serving.metrics import Metrics, Observed
from ner_dist.serving.page import tag_page
from ner_dist.serving.schemas import (
    Error,
    Health,
    ModelInfo,
    PredictRequest,
    PredictResponse,
    parse,
    request_model,
)

if TYPE_CHECKING:
    from ner_dist.prediction.entities import TaggedItem
    from ner_dist.prediction.tagger import Tagger
    from ner_dist.serving.settings import Limits

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PATHS = frozenset(("/", "/predict", "/health", "/metrics", "/openapi.json"))
_REFUSALS = {
    400: "The request is broken.",
    401: "The token is missing or wrong.",
    408: "The request arrived too slowly.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request is not of this form, or exceeds a limit.",
    429: "The client sends too many requests.",
    503: "Too many requests are waiting.",
    504: "The answer took too long.",
}


@dataclass(frozen=True)
class Served:
    """A model with the name that people see."""

    name: str
    tagger: Tagger

    def info(self, letter: str) -> ModelInfo:
        """What clients may know of it."""
        tagger = self.tagger
        return ModelInfo(
            model=letter,
            name=self.name,
            types=list(tagger.labels.types),
            precision=tagger.precision,
            device=tagger.device.type,
        )


class Server:
    """The models with their queue, limits and counters, behind an app."""

    def __init__(self, models: Sequence[Served], limits: Limits, token: str | None = None) -> None:
        self.limits, self.token = limits, token
        self.models = dict(zip("AB", models, strict=False))
        self.infos = [served.info(letter) for letter, served in self.models.items()]
        self.admission = Admission(limits)
        self.form = request_model(limits, list(self.models))
        taggers = {letter: served.tagger for letter, served in self.models.items()}
        self.batcher = Batcher(taggers, self._count)
        self.metrics = Metrics(lambda: self.admission.at_hand, lambda: self.batcher.waiting)

    def _count(self, batch: BatchCounts) -> None:
        counts = self.metrics
        counts.words.labels(batch.model).inc(batch.words)
        counts.texts.labels(batch.model).inc(batch.texts)
        counts.batch_texts.observe(batch.texts)
        counts.batch_requests.observe(batch.requests)

    def check_token(self, request: Request) -> None:
        """Compare the token of a request, in a time that says nothing about it.

        Raises:
            Refused: with 401.
        """
        if self.token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not same:
            why = "The token is missing or wrong: send the header 'Authorization: Bearer TOKEN'."
            raise Refused(401, why, WWW_Authenticate="Bearer")

    async def predict(self, request: Request) -> PredictResponse:
        """Tag what a request holds."""
        self.admission.check_rate(request.client.host if request.client else "")
        self.check_token(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "The body must be JSON: send the header 'Content-Type: application/json'.")
        with self.admission.place():
            asked = parse(await read_body(request, self.limits), self.form)
            tagged = await self._tagged(request, asked.model, _items(asked))
        return PredictResponse.of(asked.model, tagged)

    async def _tagged(self, request: Request, model: str, items: list[Item]) -> list[TaggedItem]:
        """Wait for the entities of a request, as long as its client does."""
        result = asyncio.wrap_future(self.batcher.submit(model, items))
        gone = asyncio.ensure_future(request.receive())
        try:
            seconds = self.limits.seconds
            done, _ = await asyncio.wait((result, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if result in done:
                return result.result()
            if gone in done:
                raise ClientDisconnect
            why = f"The texts were not tagged within {seconds:g} seconds, which is the limit."
            raise Refused(504, why)
        finally:
            result.cancel()
            gone.cancel()

    def health(self) -> Health:
        """The state of the server.

        Raises:
            Refused: with 503, if nothing can be tagged any more.
        """
        if not self.batcher.alive:
            raise Refused(503, "The thread that tags has ended: start the server again.")
        return Health(status="ok", version=__version__, models=self.infos)


def _items(asked: PredictRequest) -> list[Item]:
    if asked.tokens:
        return [Item(words=words) for words in asked.tokens]
    return [Item(text=text) for text in asked.texts]


def build(server: Server) -> FastAPI:
    """The app of a server."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        server.batcher.start()
        yield
        server.batcher.close()

    api = FastAPI(
        title="ner_dist",
        version=__version__,
        summary="Find named entities in texts.",
        lifespan=life,
        docs_url=None,  # these pages would load their scripts from elsewhere
        redoc_url=None,
    )
    api.add_middleware(Observed, metrics=server.metrics, paths=_PATHS, headers=_HEADERS)
    _answer_errors(api)
    _add_routes(api, server)
    return api


def _add_routes(api: FastAPI, server: Server) -> None:
    guarded: dict[str, Any] = {}
    if server.token is not None:
        # For the description alone: the token is checked before the body is read.
        guarded = {"dependencies": [Security(HTTPBearer(auto_error=False))]}
    body = {"content": {"application/json": {"schema": server.form.model_json_schema()}}, "required": True}
    html, policy = tag_page(server.infos, asks_token=server.token is not None)

    @api.post(
        "/predict",
        response_model=PredictResponse,
        response_model_exclude_none=True,
        responses=_refusals(*_REFUSALS),
        openapi_extra={"requestBody": body},
        **guarded,
    )
    async def predict(request: Request) -> PredictResponse:
        """Find the entities in texts, or in sentences that are split into words."""
        return await server.predict(request)

    @api.get("/health", response_model=Health, responses=_refusals(503))
    async def health() -> Health:
        """Tell which models are served."""
        return server.health()

    @api.get("/metrics", response_class=PlainTextResponse, responses=_refusals(401), **guarded)
    async def metrics(request: Request) -> Response:
        """Counters for Prometheus."""
        server.check_token(request)
        return Response(server.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @api.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error, "description": _REFUSALS[status]} for status in statuses}


def _answer_errors(api: FastAPI) -> None:
    """Give every error the same form."""

    def error(status: int, why: str, headers: Any = None) -> Response:
        return JSONResponse(Error(error=why).model_dump(), status, headers)

    @api.exception_handler(Refused)
    async def refused(request: Request, problem: Refused) -> Response:
        return error(problem.status, problem.why, problem.headers)

    @api.exception_handler(HTTPException)
    async def unknown(request: Request, problem: HTTPException) -> Response:
        why = {
            404: "There is nothing at this path: /openapi.json describes what there is.",
            405: f"This path does not take {request.method}.",
        }.get(problem.status_code, str(problem.detail))
        return error(problem.status_code, why, problem.headers)

    @api.exception_handler(ClientDisconnect)
    async def gone(request: Request, problem: ClientDisconnect) -> Response:
        return error(400, "The client went away.")  # nobody reads this

    @api.exception_handler(Exception)
    async def failed(request: Request, problem: Exception) -> Response:
        return error(500, "The server failed at this request, see its log.")
