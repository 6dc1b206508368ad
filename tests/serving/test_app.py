"""The HTTP interface: what it answers, what it refuses and with which words, what it counts."""

from __future__ import annotations

import json
import re
import socket
import time

import pytest

from ner_dist.prediction.items import Item
from ner_dist.serving.settings import Limits
from tests.serving.conftest import NO_SERVER

pytest.importorskip("fastapi", reason=NO_SERVER)
from starlette.testclient import TestClient

from ner_dist.serving.app import Server, build

TEXTS = ["Anna Berg visits York.", "", "In Łódź 👩‍👩‍👧 Anna\u0301 met שלום York\r\nAda Hill", "York " * 400]


@pytest.fixture
def client(models):
    """Make a client of a server with limits; `start=False` leaves its queue to wait for ever."""
    opened = []

    def make(*, start: bool = True, token: str | None = None, **limits) -> TestClient:
        server = Server(models, Limits(**limits), token)
        made = TestClient(build(server))
        made.server = server
        if start:
            opened.append(made.__enter__())
        return made

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def test_a_text_gets_the_entities_of_the_tagger(client, models):
    client = client()
    found = 0
    for letter, served in zip("AB", models, strict=True):
        answer = client.post("/predict", json={"texts": TEXTS, "model": letter})
        assert answer.status_code == 200 and answer.json()["model"] == letter
        given = [result["entities"] for result in answer.json()["results"]]
        expected = [[vars(each) for each in of_text] for of_text in served.tagger.spans(TEXTS)]
        assert given == expected
        assert all(
            text[each["start"] : each["end"]] == each["text"]
            for text, of_text in zip(TEXTS, given, strict=True)
            for each in of_text
        )
        found += sum(map(len, given))
    assert found


def test_words_get_the_entities_of_the_tagger(client, tagger):
    sentences = [["Anna", "Berg", "visits", "York", "."], [], ["York"] * 30]
    answer = client().post("/predict", json={"tokens": sentences}).json()
    expected = [tagged.entities for tagged in tagger.tag_items([Item(words=words) for words in sentences])]
    assert any(expected)
    assert [result["entities"] for result in answer["results"]] == [
        [{name: value for name, value in vars(each).items() if value is not None} for each in of_sentence]
        for of_sentence in expected
    ]


@pytest.mark.parametrize(
    "body, why",
    [
        ("{", "The request is not understood: Invalid JSON"),
        ("[]", "The request is not understood: "),
        ("{}", "give either texts or tokens."),
        ('{"texts": ["a"], "tokens": [["a"]]}', "give either texts or tokens."),
        ('{"texts": "a"}', "at texts: "),
        ('{"texts": [1]}', "at texts[0]: "),
        ('{"texts": ["\\ud800"]}', "Invalid JSON"),
        ('{"text": ["a"]}', "at text: "),
        ('{"texts": ["a"], "model": "C"}', "at model: Input should be 'A' or 'B'."),
        ('{"texts": ["a", "b", "c", "d"]}', "at texts: List should have at most 3 items"),
        ('{"texts": ["12345678901"]}', "at texts[0]: String should have at most 10 characters."),
        (
            '{"tokens": [["a"], ["12345678901"]]}',
            "at tokens[1][0]: String should have at most 10 characters.",
        ),
        ("[" * 5000, "Invalid JSON"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_sentence(client, body, why):
    answer = client(texts=3, characters=10).post(
        "/predict", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    (sentence,) = answer.json().values()
    assert why in sentence and sentence.count("\n") == 0 and sentence.endswith(".")


def test_only_json_is_read(client):
    answer = client().post("/predict", content='{"texts": []}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, list(answer.json())) == (415, ["error"])


@pytest.mark.parametrize(
    "method, path, status", [("GET", "/docs", 404), ("GET", "/predict", 405), ("PUT", "/", 405)]
)
def test_errors_of_the_framework_have_the_same_form(client, method, path, status):
    answer = client().request(method, path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_a_body_is_counted_while_it_is_read(client):
    """Without a Content-Length, and up to the last byte."""
    client, headers = client(bytes=1000), {"Content-Type": "application/json"}
    start = b'{"texts": ["York"], "model": "A"'
    whole = start + b" " * (999 - len(start)) + b"}"

    def parts(body: bytes):
        return (body[i : i + 100] for i in range(0, len(body), 100))

    assert client.post("/predict", content=parts(whole), headers=headers).status_code == 200
    answer = client.post("/predict", content=parts(whole + b" "), headers=headers)
    assert answer.status_code == 413 and "1,000 bytes" in answer.json()["error"]


def test_a_client_may_not_ask_too_often(client):
    client = client(rate=3)
    assert [client.post("/predict", json={"texts": []}).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get("/health").status_code == 200


def test_more_than_the_limit_do_not_wait(client):
    client = client(waiting=1)
    with client.server.admission.place():
        answer = client.post("/predict", json={"texts": ["York"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.post("/predict", json={"texts": ["York"]}).status_code == 200


def test_nobody_waits_for_ever(client):
    client = client(start=False, seconds=0.05)
    answer = client.post("/predict", json={"texts": ["York"]})
    assert answer.status_code == 504 and "0.05 seconds" in answer.json()["error"]
    assert client.get("/health").status_code == 503
    client.server.batcher.start()
    client.server.batcher.close()
    assert client.server.metrics.registry.get_sample_value("ner_dist_words_total", {"model": "A"}) is None


def test_a_token_guards_what_it_should(client):
    client = client(token="secret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
        for answer in (
            client.post("/predict", json={"texts": []}, headers=headers),
            client.get("/metrics", headers=headers),
        ):
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    right = {"Authorization": "bearer secret"}
    assert client.post("/predict", json={"texts": []}, headers=right).status_code == 200
    assert client.get("/metrics", headers=right).status_code == 200
    assert [client.get(path).status_code for path in ("/", "/health", "/openapi.json")] == [200] * 3
    assert "secret" not in client.get("/").text


def test_metrics_count_what_was_done(client):
    client = client()
    client.post("/predict", json={"texts": ["Anna Berg visits York.", "York"]})
    client.post("/predict", json={"texts": ["York"], "model": "B"})
    client.post("/predict", json={})
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    said = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert float(said['ner_dist_words_total{model="A"}']) == 6
    assert float(said['ner_dist_texts_total{model="B"}']) == 1
    assert float(said['ner_dist_requests_total{path="/predict",status="200"}']) == 2
    assert float(said['ner_dist_requests_total{path="/predict",status="422"}']) == 1
    assert float(said['ner_dist_requests_total{path="other",status="404"}']) == 1
    assert float(said["ner_dist_predict_seconds_count"]) == 2
    assert float(said["ner_dist_batch_texts_sum"]) == 3
    assert float(said["ner_dist_requests_waiting"]) == float(said["ner_dist_requests_at_hand"]) == 0


def test_the_description_holds_the_limits_and_refers_to_nothing_outside(client):
    described = client(texts=7, token="t").get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/health", "/metrics"}
    (body,) = described["paths"]["/predict"]["post"]["requestBody"]["content"].values()
    assert body["schema"]["properties"]["texts"]["maxItems"] == 7
    assert body["schema"]["properties"]["model"]["enum"] == ["A", "B"]
    refers = re.findall(r'"\$ref": "([^"]+)"', json.dumps(described))
    assert refers and all(each.startswith("#/components/schemas/") for each in refers)
    assert [
        path for path, of in described["paths"].items() for each in of.values() if "security" in each
    ] == [
        "/predict",
        "/metrics",
    ]


class TestSockets:
    """What only a real connection shows."""

    HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"

    @staticmethod
    def connected(address: str) -> socket.socket:
        host, port = address.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def test_a_slow_body_is_given_up(self, running):
        with running(seconds=0.2) as address, self.connected(address) as connection:
            connection.sendall(self.HEAD.format(50).encode() + b"{")
            assert connection.recv(100).startswith(b"HTTP/1.1 408")

    def test_a_client_that_sends_too_much_sees_why(self, running):
        with running(bytes=100_000) as address, self.connected(address) as connection:
            connection.sendall(self.HEAD.format(700_000).encode() + b" " * 700_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 413")

    def test_a_client_that_leaves_frees_its_place(self, running):
        import httpx2 as httpx

        text = json.dumps({"texts": ["York " * 20_000] * 8}).encode()
        with running(waiting=1) as address:
            with self.connected(address) as connection:
                connection.sendall(self.HEAD.format(len(text)).encode() + text)
                busy = httpx.post(f"{address}/predict", json={"texts": []})
            began = time.monotonic()
            while httpx.post(f"{address}/predict", json={"texts": ["York"]}).status_code == 503:
                assert time.monotonic() - began < 30
                time.sleep(0.02)
            counts = httpx.get(f"{address}/metrics").text
        assert busy.status_code == 503
        assert float(re.search(r'ner_dist_texts_total{model="A"} (\S+)', counts)[1]) < 8
