"""The training entrypoint: `accelerate launch --config_file launch/… -m ner_dist.train RECIPE [key=value …]`.

The recipe says what to train, the launch config where. `ner-dist train` does the same in one process.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from ner_dist import __version__
from ner_dist.errors import UserError, disk_errors, show
from ner_dist.runtime import orphans, signals
from ner_dist.runtime.gpu import prepare_allocator
from ner_dist.runtime.threads import wait_considerately

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run

log = logging.getLogger("ner_dist.train")


def train(recipe: Recipe) -> Run:
    """Train, score and save the model of a recipe; return its run.

    A complete run is not changed.

    Raises:
        UserError: a mistake that the user can fix.
        Stopped: a signal stopped the training; its progress is saved.
    """
    from ner_dist.run.lock import run_lock
    from ner_dist.run.output import as_its_run, check_output
    from ner_dist.runtime.accelerator import running, set_up_logging
    from ner_dist.runtime.ranks import is_main_process
    from ner_dist.training.inputs import already_complete, check_inputs

    output = check_output(recipe)
    if not output.run.complete or recipe.resume == "never":
        check_inputs(recipe)
    set_up_logging(main=is_main_process())  # for `as_its_run`, too
    log.info("ner_dist %s: %s, to be trained in %s", __version__, recipe.name, recipe.output_dir)
    recipe = as_its_run(recipe, output)

    # These imports take seconds.
    from ner_dist.model.encoder import load_config
    from ner_dist.training.finalize import finalize
    from ner_dist.training.trainer import Trainer

    config = load_config(recipe.model)
    with (
        running(recipe, model_type=config.model_type) as accelerator,
        run_lock(recipe, accelerator) as run,
    ):
        if already_complete(recipe, run, accelerator):
            return run
        trainer = Trainer.from_recipe(recipe, config, run=run, accelerator=accelerator)
        with trainer.open_metrics_log() as metrics_log:
            trainer.resume(metrics_log)
            for step in trainer.steps():
                metrics_log.add(step)
                if trainer.evaluation_due(step.number):
                    trainer.evaluate(step.number, metrics_log)
                if trainer.checkpoint_due(step.number):
                    trainer.save_checkpoint(metrics_log)
                if trainer.stop.agreed():
                    trainer.stop_here(metrics_log)
                if trainer.stopped_early:
                    break
            finalize(trainer, metrics_log)
    return run


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0; 2 for a mistake of the user; 75 (`signals.EXIT_RESUME`) for a run that a
        signal stopped, and that the same command resumes.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    usage = "accelerate launch --config_file launch/CONFIG.yaml -m ner_dist.train RECIPE [key=value ...]"
    if not arguments:
        return show(UserError("no recipe given", fix=f"usage: {usage}"))
    if arguments[0] in ("-h", "--help"):
        print(f"usage: {usage}")
        return 0
    orphans.end_with_launcher()
    wait_considerately()
    prepare_allocator()
    from ner_dist.recipe_file import load_recipe
    from ner_dist.runtime import launcher
    from ner_dist.runtime.ranks import RankLost, is_main_process, leave, without_peer

    signals.exit_on_signals()
    try:
        # Errors that no collective call has shared belong to this rank alone.
        with disk_errors(everywhere=False):
            train(load_recipe(arguments[0], arguments[1:]))
    except UserError as error:
        if error.everywhere:
            launcher.leave_the_word()
            leave()
        return show(error)
    except RankLost as lost:
        return _without_others(lost)
    except RuntimeError as error:
        if not without_peer(error):
            raise
        return _without_others(RankLost("another rank has ended or cannot be reached"))
    except signals.Stopped as stopped:
        if is_main_process():
            print(f"{stopped}: repeat the command to resume", file=sys.stderr)
        leave()
        return signals.EXIT_RESUME
    leave()
    return 0


def _without_others(lost: Exception) -> int:
    """Say that another rank is gone, and end at once: whatever waits for it would never return."""
    print(f"error: {lost}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(1)


if __name__ == "__main__":
    try:
        code = main()
    finally:
        signals.ignore_signals()
    sys.exit(code)
