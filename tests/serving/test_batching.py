"""Requests of many clients are tagged together, each as if it were alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ner_dist.data.synthetic import generate
from ner_dist.prediction.items import Item
from ner_dist.recipe_data import Synthetic
from ner_dist.serving.batching import Batcher

SENTENCES = [" ".join(words) for words, _ in generate(Synthetic(train=1, validation=1, test=60))["test"]]


@pytest.fixture
def counts():
    return []


@pytest.fixture
def batcher(tagger, counts):
    """It waits for `start`, so that a test decides what waits."""
    made = Batcher({"A": tagger}, counts.append)
    yield made
    if made.alive:
        made.close()


def texts(*given: str) -> list[Item]:
    return [Item(text=text) for text in given]


def spans(tagged) -> list:
    return [[(each.start, each.end, each.type) for each in item.entities] for item in tagged]


def test_each_client_gets_its_own_entities(batcher, tagger):
    batcher.start()
    expected = [spans(tagger.tag_items(texts(text))) for text in SENTENCES]
    assert sum(map(bool, (found for (found,) in expected))) > 10

    def ask(text: str) -> list:
        return spans(batcher.submit("A", texts(text)).result(timeout=60))

    with ThreadPoolExecutor(20) as clients:
        assert list(clients.map(ask, SENTENCES)) == expected


def test_what_waits_is_tagged_together(batcher, counts):
    asked = [batcher.submit("A", texts("Anna Berg visits York.", "York")) for _ in range(7)]
    batcher.start()
    assert all(len(each.result(timeout=60)) == 2 for each in asked)
    (batch,) = counts
    assert (batch.requests, batch.texts, batch.words) == (7, 14, 42)


def test_clients_take_turns(tagger, counts):
    """A request that is larger than a batch waits for those that came after it."""
    batcher, finished = Batcher({"A": replace(tagger, batch_tokens=64)}, counts.append), []
    asked = {"long": texts(*["York " * 80] * 5), "short": texts("York"), "words": [Item(words=["a"])]}
    for name, items in asked.items():
        batcher.submit("A", items).add_done_callback(lambda _, name=name: finished.append(name))
    batcher.start()
    batcher.close()
    assert finished == ["short", "words", "long"]
    assert len(counts) > 2 and sum(batch.texts for batch in counts) == 7


def test_closing_answers_who_waits_already(batcher):
    asked = [batcher.submit("A", texts(text)) for text in SENTENCES[:5]]
    batcher.start()
    batcher.close()
    assert all(each.done() and len(each.result()) == 1 for each in asked)


def test_who_is_gone_is_not_tagged(batcher, counts):
    gone, stays = batcher.submit("A", texts("York")), batcher.submit("A", texts("Anna"))
    assert gone.cancel()
    batcher.start()
    stays.result(timeout=60)
    assert [batch.texts for batch in counts] == [1]


def test_a_request_that_fails_fails_alone(batcher, log_lines):
    asked = [
        batcher.submit("A", items)
        for items in (texts("York"), [Item(words=[b"York"])], texts("Anna", "Berg"))
    ]
    batcher.start()
    assert [len(asked[i].result(timeout=60)) for i in (0, 2)] == [1, 2]
    with pytest.raises(Exception, match=r".") as raised:
        asked[1].result(timeout=60)
    assert not isinstance(raised.value, TimeoutError)
    assert log_lines == ["a request failed"]


def test_a_scheme_is_recognised_in_one_request_alone(tagger, counts):
    """What others send at the same time changes nothing."""
    guessing = replace(tagger, decoder=replace(tagger.decoder, iob2=False), decode="greedy")
    made = Batcher({"A": guessing}, counts.append)
    asked = [made.submit("A", texts(*SENTENCES[i : i + 3])) for i in range(0, 9, 3)]
    made.start()
    made.close()
    assert [(batch.requests, batch.texts) for batch in counts] == [(1, 3)] * 3
    assert [spans(each.result()) for each in asked] == [
        spans(guessing.tag_items(texts(*SENTENCES[i : i + 3]))) for i in range(0, 9, 3)
    ]
