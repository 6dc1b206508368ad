"""A small server that speaks the part of the hub's protocol that an upload needs.

It answers that every file is to be sent within the commit, as the hub does for small text files. The
storage of large files is not imitated.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OWNER = "somebody"
TOKEN = "hf_token_of_the_tests"


@dataclass
class Hub:
    """What the server holds: the visibility of repositories, and the files that were sent."""

    private: dict[str, bool] = field(default_factory=dict)
    private_data: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    address: str = ""
    refused_card: str | None = None
    """What the check of the card's metadata says; None if it is fine."""

    def server(self) -> ThreadingHTTPServer:
        hub = self
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.address = f"http://127.0.0.1:{server.server_port}"

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(*hub.post(self.path, body, self.headers.get("Authorization")))

            def do_GET(self) -> None:
                kind, _, repo = self.path.removeprefix("/api/").partition("/")
                if kind == "datasets" and repo != "gone/data":
                    return self.answer(200, {"id": repo, "private": repo in hub.private_data, "gated": False})
                if repo not in hub.private:
                    return self.answer(404, {"error": "Repository not found"})
                self.answer(200, {"id": repo, "private": hub.private[repo], "tags": [], "siblings": []})

            def answer(self, status: int, content: dict[str, Any]) -> None:
                text = json.dumps(content).encode()
                self.send_response(status)
                if status == 404:
                    self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        server.RequestHandlerClass = Handler
        return server

    def post(self, path: str, body: bytes, authorization: str | None) -> tuple[int, dict[str, Any]]:
        if path == "/api/validate-yaml":
            return (400, {"errors": [{"message": self.refused_card}]}) if self.refused_card else (200, {})
        if authorization != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid username or password."}
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if not path.startswith(f"/api/models/{OWNER}/"):
            return 403, {"error": "You don't have access"}
        if path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            modes = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in asked]
            return 200, {"files": modes}
        assert path.endswith("/commit/main"), path
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        repo = path.removeprefix("/api/models/").removesuffix("/commit/main")
        return 200, {
            "commitUrl": f"{self.address}/{repo}/commit/1",
            "commitOid": "1" * 40,
            "pullRequestUrl": None,
        }

    def create(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        owner = asked["organization"] or OWNER
        if owner != OWNER:
            return 403, {"error": f"You don't have the rights to create a model under the namespace {owner}"}
        repo = f"{owner}/{asked['name']}"
        content = {"url": f"{self.address}/{repo}", "error": "You already created this model repo"}
        if repo in self.private:
            return 409, content
        self.private[repo] = asked.get("visibility") == "private"
        return 200, content
