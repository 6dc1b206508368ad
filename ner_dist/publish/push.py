"""`ner-dist push`: upload the model of a run to the Hugging Face hub."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, get_token
from huggingface_hub import errors as hub
from huggingface_hub.utils._validators import validate_repo_id

from ner_dist import __version__
from ner_dist.errors import UserError
from ner_dist.publish.upload import CARD, uploads
from ner_dist.run.checksums import check_model
from ner_dist.run.directory import find_run
from ner_dist.training.card_metadata import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ner_dist.publish.upload import Upload

log = logging.getLogger(__name__)

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN, with a token that may write"


def push(
    path: str | Path,
    repo: str,
    *,
    private: bool = False,
    comparison: str | Path | None = None,
    dry_run: bool = False,
) -> tuple[list[Upload], str | None]:
    """Upload the model of a complete run; the repository is made if there is none.

    Args:
        path: the run.
        repo: `USER/NAME`, `ORGANISATION/NAME`, or a `NAME` of one's own.
        private: make the repository private; one that is public already is refused.
        comparison: folder of a comparison that the run is part of; the card gets its verdict.
        dry_run: read everything, and send nothing.

    Returns:
        The files, and the address of the commit; None of a dry run.

    Raises:
        UserError: the run is not complete, a file names a place on this machine, or the hub refuses.
    """
    run = find_run(path)
    check_model(run.folder)
    try:
        validate_repo_id(repo)
    except hub.HFValidationError as error:
        fix = "write USER/NAME, of letters, digits, '-', '_' and '.'"
        raise UserError(str(error).split(":")[0], where=f"REPO {repo}", fix=fix) from None
    about = None if comparison is None else Path(comparison)
    files, left = uploads(run, repo, about)
    if left:
        log.info("not uploaded, since they are no part of the model: %s", ", ".join(left))
    if _card(files).data.get("license") is None:
        log.warning("the card claims no licence: write `license:` at the top of %s", run.model / CARD)
    if dry_run:
        return files, None
    if get_token() is None:
        raise UserError("there is no access token of the hub on this machine", where="push", fix=_LOG_IN)
    api = HfApi()
    with _refusals(repo):
        if not private:
            _check_examples(api, _card(files))
        made = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(made.repo_id).private:
            fix = "make it private in its settings, or name another"
            raise UserError("exists and is public", where=f"REPO {made.repo_id}", fix=fix)
    files, _ = uploads(run, made.repo_id, about)
    log.info("uploading %d files to %s", len(files), made)
    with _refusals(made.repo_id):
        commit = api.create_commit(
            made.repo_id,
            [CommitOperationAdd(file.name, file.content) for file in files],
            commit_message=f"Model trained by ner_dist {__version__}",
        )
    return files, commit.commit_url


def _card(files: list[Upload]) -> ModelCard:
    content = files[0].content
    assert isinstance(content, bytes)
    return ModelCard(content.decode())


def _check_examples(api: HfApi, card: ModelCard) -> None:
    """Refuse a card for everybody with words of data that not everybody may read.

    Training, which writes the examples, may have no network to find that out.
    """
    if EXAMPLES not in card.text:
        return
    for name in card.data.get("datasets") or []:
        try:
            found = api.dataset_info(name)
            restricted = bool(found.private or found.gated)
        except hub.RepositoryNotFoundError:
            restricted = True
        if restricted:
            what = f"its examples are from {name}, which not everybody may read"
            raise UserError(what, where=CARD, fix="take them out of its table, or push with --private")


@contextmanager
def _refusals(repo: str) -> Iterator[None]:
    """Raise what the hub and the way to it may answer as a `UserError`."""
    try:
        yield
    except hub.OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set", where="push", fix="unset it, or use --dry-run") from None
    except hub.HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401:
            raise UserError("the hub does not accept the access token", where="push", fix=_LOG_IN) from None
        if status == 403:
            fix = "name a repository of your own, or log in with a token that may write there"
            raise UserError("you may not write there", where=f"REPO {repo}", fix=fix) from None
        what = f"the hub refuses: {error.server_message or error}"
        raise UserError(what, where=f"REPO {repo}", fix="see the message; then repeat the command") from None
    except ValueError as error:
        if "metadata" not in str(error):
            raise
        what = f"the hub refuses the card: {error}"
        raise UserError(what, where=CARD, fix="correct the block between the two lines of ---") from None
    except (hub.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise UserError(
            f"the hub cannot be reached ({error or type(error).__name__})",
            where="push",
            fix="check the network and HF_ENDPOINT, and repeat the command",
        ) from None
