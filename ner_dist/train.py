"""The training entrypoint: `accelerate launch --config_file launch/… -m ner_dist.train RECIPE [key=value …]`.

The recipe says what is trained, the launch config where. `ner-dist train` is the same in one process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ner_dist.errors import UserError, show

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe
    from ner_dist.run import Run


def train(recipe: Recipe) -> Run:
    """Train, score and save what the recipe describes; return where.

    A run that is complete already is left as it is.

    Raises:
        UserError: something that the user can mend, on one line.
    """
    from ner_dist import runtime
    from ner_dist.model import load_config
    from ner_dist.recorder import Recorder
    from ner_dist.run import check_output
    from ner_dist.session import Session

    check_output(recipe)
    accelerator = runtime.start(recipe, model_type=load_config(recipe.model).model_type)
    session = Session(recipe, accelerator=accelerator)
    if session.already_complete():
        return session.run
    session.load_data()
    session.build_model()
    session.resume()
    with Recorder(recipe, session.run, accelerator=accelerator) as recorder:
        for step in session.training.steps():
            recorder.add(step)
            if session.evaluation_due(step):
                session.evaluate(step, recorder)
            if session.checkpoint_due(step):
                recorder.flush()
                session.save_checkpoint()
            if session.stopped_early:
                break
        session.finish(recorder)
    return session.run


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 2 for a mistake of the user."""
    arguments = sys.argv[1:] if arguments is None else arguments
    usage = "accelerate launch --config_file launch/CONFIG.yaml -m ner_dist.train RECIPE [key=value ...]"
    if not arguments:
        return show(UserError("no recipe is named", fix=f"usage: {usage}"))
    if arguments[0] in ("-h", "--help"):
        print(f"usage: {usage}")
        return 0
    from ner_dist.recipe_file import load_recipe

    try:
        train(load_recipe(arguments[0], arguments[1:]))
    except UserError as error:
        return show(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
