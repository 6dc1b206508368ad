"""Every damage to every file of a prepared cache is repaired; `test_prepared_cache.py` has a sample."""

from __future__ import annotations

import pytest

from tests.data.test_prepared_cache import DAMAGES, FILES, cached, contents, prepared

__all__ = ["cached"]


@pytest.mark.soak
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_it_is_prepared_again(cached, name, how):
    settings, folder, before = cached
    DAMAGES[how](folder / name)
    assert prepared(settings).just_made
    assert contents(folder) == before
