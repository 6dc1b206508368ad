"""`ner-dist serve`: load models, and answer requests until a signal."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.runtime.precision import uses_gpu
from ner_dist.serving.settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    from ner_dist.serving.app import Served
    from ner_dist.serving.settings import Service

log = logging.getLogger(__name__)

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "limits")


def check(service: Service) -> None:
    """Find mistakes before anything is loaded.

    Raises:
        UserError: a package is missing, the token cannot be sent, or other machines could use the server
            without one.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        what = f"{', '.join(missing)} {are} not installed"
        raise UserError(what, where="ner-dist serve", fix="pip install 'ner_dist[serve]'")
    if service.token is not None and not (service.token.isascii() and service.token.isprintable()):
        raise UserError("the token is not printable ASCII", where="--token", fix="choose another")
    if service.token is not None and len(service.token.split()) != 1:
        raise UserError("the token is empty or has spaces", where="--token", fix="choose another")
    if service.token is None and not service.no_token and not _is_loopback(service.host):
        raise UserError(
            "other machines could use the server without a token",
            where=f"--host {service.host}",
            fix=f"set {TOKEN_VARIABLE} to one, or pass --no-token",
        )


def serve(service: Service) -> None:
    """Answer requests until SIGTERM or SIGINT; those at hand are answered before it returns.

    Raises:
        UserError: see `check`; the address cannot be had, or a model cannot be loaded.
    """
    check(service)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with _listen(service.host, service.port) as listening:
        import uvicorn

        from ner_dist.serving.app import Server, build

        server = Server(_load(service), service.limits, service.token)
        config = uvicorn.Config(
            build(server),
            log_config=None,
            access_log=False,
            server_header=False,
            # Whoever waits longer is answered with 504 before.
            timeout_graceful_shutdown=int(service.limits.seconds) + 5,
        )
        host, port = listening.getsockname()[:2]
        log.info("serving on http://%s:%d/, stop with Ctrl-C", f"[{host}]" if ":" in host else host, port)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            log.info("stopped")


def _end(number: int, frame: Any) -> None:
    # While a model is loaded nothing needs to be kept; uvicorn has handlers of its own while it serves, and
    # sends the signal again when it has stopped.
    sys.exit(0)


def _load(service: Service) -> list[Served]:
    # These imports take seconds.
    import torch

    from ner_dist.prediction.tagger import load_tagger
    from ner_dist.runtime.cpu_kernels import speed_up
    from ner_dist.serving.app import Served

    device = torch.device("cuda" if uses_gpu() else "cpu")
    models = []
    for path in service.models:
        tagger = load_tagger(path, service.precision, device)
        name = _name(path)
        log.info("loaded %s on %s in %s: %s", name, device, tagger.precision, ", ".join(tagger.labels.types))
        models.append(Served(name, tagger))
    if device.type == "cpu":
        speed_up(fp32=all(served.tagger.precision == "fp32" for served in models))
    return models


def _name(path: str) -> str:
    """What people call a model: the name of its run or folder."""
    folder = Path(path).absolute() if Path(path).exists() else Path(path)
    return printable(folder.parent.name if folder.name == "model" else folder.name)


def _is_loopback(host: str) -> bool:
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in _addresses(host))


def _addresses(host: str) -> list[str]:
    """The addresses of a host.

    Raises:
        UserError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(f"no such host ({error.strerror})", where=f"--host {host}") from None
    return [str(address[0]) for *_, address in found]


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: it is in use, or may not be used.
    """
    address = _addresses(host)[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            what, fix = "is in use already", f"pass another, such as --port {port + 1}, or 0 for any free one"
        elif error.errno == errno.EACCES:
            what, fix = "may be used by the administrator only", "pass one from 1024 on, such as --port 8000"
        else:
            raise UserError(f"cannot listen: {error.strerror}", where=f"--host {host}") from None
        raise UserError(what, where=f"--port {port}", fix=fix) from None
