"""All metadata is in setup.cfg; here is what it cannot say: recipes/ and launch/ travel in the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("recipes", "launch")


class BuildWithShipped(build_py):
    """Copies the folders to ner_dist/shipped/, where ner_dist/shipped.py finds them."""

    def run(self):
        super().run()
        if self.editable_mode:  # they are found in the checkout
            return
        for name in SHIPPED:
            target = Path(self.build_lib) / "ner_dist" / "shipped" / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(name, target)


setup(cmdclass={"build_py": BuildWithShipped})
