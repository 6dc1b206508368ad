"""Requests of many clients in the batches of one model: a queue, and a thread that tags what waits in it.

Clients take turns: of a request that is larger than a batch, a part is tagged, and the rest goes to the end
of the queue.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ner_dist.prediction.entities import TaggedItem
    from ner_dist.prediction.items import Item
    from ner_dist.prediction.tagger import Tagger

log = logging.getLogger(__name__)

_CHARACTERS_PER_TOKEN = 4
_PASSES = 2
"""A batch fills about this many forward passes: one fills up with texts of similar length."""


@dataclass(eq=False)
class _Job:
    """A request, as far as it is not tagged yet."""

    model: str
    items: deque[tuple[Item, int]]
    """With their sizes."""
    whole: bool
    """It must be tagged in one call."""
    tagged: list[TaggedItem] = field(default_factory=list)
    future: Future[list[TaggedItem]] = field(default_factory=Future)

    def take(self, room: int, *, first: bool) -> tuple[list[Item], int]:
        """Items to tag next, and their size, which is at most `room`; at least one if the batch is empty."""
        taken: list[Item] = []
        if self.whole and not first and sum(size for _, size in self.items) > room:
            return taken, 0
        filled = 0
        while self.items:
            item, size = self.items[0]
            if filled + size > room and not self.whole and (taken or not first):
                break
            self.items.popleft()
            taken.append(item)
            filled += size
        return taken, filled


@dataclass(frozen=True)
class BatchCounts:
    """The size of a batch of one model."""

    model: str
    requests: int
    texts: int
    words: int


class Batcher:
    """One thread that tags the requests of all clients, with all models, since they share the device."""

    def __init__(self, taggers: Mapping[str, Tagger], observe: Callable[[BatchCounts], None]) -> None:
        self._taggers, self._observe = taggers, observe
        tokens = min(tagger.batch_tokens for tagger in taggers.values())
        self._budget = _PASSES * _CHARACTERS_PER_TOKEN * tokens
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="tagging", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Tag what waits, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return len(self._jobs)

    def submit(self, model: str, items: list[Item]) -> Future[list[TaggedItem]]:
        """Queue a request. Cancelling its result takes it out of the queue."""
        # The scheme of a model that is not known to predict IOB2 is recognised over all items of a call:
        # what others send must not change it.
        sized = deque((item, _size(item)) for item in items)
        job = _Job(model, sized, whole=not self._taggers[model].decoder.iob2)
        if not items:
            job.future.set_result([])
            return job.future
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def _work(self) -> None:
        while batch := self._next():
            for model in self._taggers:
                if of_model := [(job, items) for job, items in batch if job.model == model]:
                    self._tag(model, of_model)

    def _next(self) -> list[tuple[_Job, list[Item]]]:
        """What to tag next, of at most the budget; nothing once the batcher is closed and nobody waits."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if (batch := self._take()) or self._closed:
                    return batch

    def _take(self) -> list[tuple[_Job, list[Item]]]:
        batch: list[tuple[_Job, list[Item]]] = []
        later: list[_Job] = []
        room, models_alone = self._budget, set[str]()
        while self._jobs:
            job = self._jobs[0]
            if job.future.done():  # cancelled, or another part of it failed
                self._jobs.popleft()
                continue
            if job.model in models_alone:
                break
            items, size = job.take(room, first=not batch)
            if not items:
                break
            self._jobs.popleft()
            batch.append((job, items))
            room -= size
            if job.whole:
                models_alone.add(job.model)
            if job.items:
                later.append(job)
        self._jobs.extend(later)
        return batch

    def _tag(self, model: str, batch: list[tuple[_Job, list[Item]]]) -> None:
        """Tag the parts of requests in one call; if that fails, each alone: only one gets the error."""
        items = [item for _, own in batch for item in own]
        try:
            tagged = iter(self._taggers[model].tag_items(items))
        except Exception as error:
            if len(batch) > 1:
                for part in batch:
                    self._tag(model, [part])
                return
            log.exception("a request failed")
            job = batch[0][0]
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(error)
            return
        words = 0
        for job, own in batch:
            results = [next(tagged) for _ in own]
            words += sum(len(each.words) for each in results)
            job.tagged.extend(results)
        self._observe(BatchCounts(model, requests=len(batch), texts=len(items), words=words))
        for job, _ in batch:
            if not job.items and job.future.set_running_or_notify_cancel():
                job.future.set_result(job.tagged)


def _size(item: Item) -> int:
    """Characters of a text, or of words with the spaces between them."""
    return len(item.text) if item.text is not None else sum(len(word) + 1 for word in item.words or ())
