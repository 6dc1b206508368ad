"""Many clients at once against `ner-dist serve`, and against a plain server of transformers' pipeline.

    python benchmarks/serving.py RUN [--clients 50] [--seconds 60] [--rounds 3] [--sentences 5]

Each client sends a text of some sentences of the run's own test split, waits for the answer, and sends the
next. Both servers compute in fp32, on the same machine as the clients, and take turns. Any answer but 200
ends the benchmark. Printed are medians over the rounds; words are those between blanks. On a machine that
others use as well, words per second of the server's processor time (Linux) say more than words per second.

GLiNER is not among them: its weights come from a hub, which this benchmark does without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import numpy as np

PLAIN = """
import sys
import uvicorn
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
tag = pipeline("token-classification", model=sys.argv[1], aggregation_strategy="simple", device="cpu")

@app.get("/health")
def health():
    return "ok"

@app.post("/predict")
def predict(asked: dict):
    return [[each | {"score": float(each["score"])} for each in found] for found in tag(asked["texts"])]

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Measured:
    """One round of one server."""

    p50: float
    """Seconds."""
    p99: float
    words_per_second: float
    words_per_cpu_second: float
    requests: int


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=5, help="sentences in a text")
    settings = parser.parse_args()
    texts = texts_of(settings.run, settings.sentences)
    ours = [sys.executable, "-m", "ner_dist.cli", "serve", str(settings.run), "--precision", "fp32"]
    ours += ["--max-rate", "1000000", "--port"]
    plain = [sys.executable, "-c", PLAIN, str(settings.run / "model")]
    measured: dict[str, list[Measured]] = {}
    for number in range(settings.rounds):
        for name, command in (("ner-dist serve", ours), ("pipeline in FastAPI", plain)):
            with serving(command) as (address, process):
                one = asyncio.run(measure(address, process, texts, settings.clients, settings.seconds))
            print(f"round {number + 1}, {name}: {one}", file=sys.stderr, flush=True)
            measured.setdefault(name, []).append(one)
    print("| | p50 | p99 | words/s | words/CPU s | requests | errors |\n|---|---|---|---|---|---|---|")
    for name, rounds in measured.items():
        p50, p99, words, of_cpu = (
            statistics.median(getattr(one, field) for one in rounds)
            for field in ("p50", "p99", "words_per_second", "words_per_cpu_second")
        )
        requests = sum(one.requests for one in rounds)
        print(f"| {name} | {p50:.3f} s | {p99:.3f} s | {words:,.0f} | {of_cpu:,.0f} | {requests:,} | 0 |")


def texts_of(run: Path, sentences: int) -> list[str]:
    """Sentences of the run's test split, several to a text, in an order by chance."""
    lines = (run / "predictions" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    read = [" ".join(json.loads(line)["tokens"]) for line in lines]
    random.Random(0).shuffle(read)
    return [" ".join(read[i : i + sentences]) for i in range(0, len(read), sentences)]


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[str, int]]:
    """Start a server whose last argument is its port; yields its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([*command, str(port)], env=ENVIRONMENT, stderr=subprocess.PIPE)
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit((process.stderr.read() if process.stderr else b"").decode())
            try:
                httpx.get(f"{address}/health", timeout=60)
                break
            except httpx.ConnectError:
                time.sleep(0.2)
        yield address, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def cpu_seconds(process: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(address: str, process: int, texts: list[str], clients: int, seconds: float) -> Measured:
    """Send texts from many clients for a while, after each has sent one."""
    took: list[float] = []
    words = 0
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as http:

        async def ask(text: str) -> float:
            began = time.perf_counter()
            answer = await http.post("/predict", json={"texts": [text]})
            if answer.status_code != 200:
                raise SystemExit(f"{answer.status_code}: {answer.text}")
            return time.perf_counter() - began

        async def client(chance: random.Random, end: float) -> None:
            nonlocal words
            while time.perf_counter() < end:
                text = chance.choice(texts)
                took.append(await ask(text))
                words += len(text.split())

        await asyncio.gather(*(ask(texts[i % len(texts)]) for i in range(clients)))
        began, busy = time.perf_counter(), cpu_seconds(process)
        await asyncio.gather(*(client(random.Random(i), began + seconds) for i in range(clients)))
        whole, busy = time.perf_counter() - began, cpu_seconds(process) - busy
    p50, p99 = np.percentile(took, (50, 99))
    return Measured(float(p50), float(p99), words / whole, words / busy, len(took))


if __name__ == "__main__":
    main()
