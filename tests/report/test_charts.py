"""Charts are SVG elements for a page; thinning does not shift curves."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_dist.outside import shown_values
from ner_dist.report.charts.curves import thinned
from ner_dist.report.charts.svg import chart, drawn, label
from ner_dist.report.explorer_data import script_json


@settings(max_examples=20)
@given(st.text(min_size=1))
def test_any_text_may_stand_in_a_chart(text):
    with chart(300, 100) as (figure, axes):
        axes.set_title(label(text))
        svg = drawn(figure, name="x", title=text, description=text)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert label(text) in ["".join(each.itertext()) for each in root.iter()] or not label(text).strip()


def test_two_charts_share_no_id():
    ids = []
    for name in ("one", "two"):
        with chart(300, 100) as (figure, axes):
            axes.plot([1, 2], [1, 2], marker="o")
            root = ElementTree.fromstring(drawn(figure, name=name, title="t", description="d"))
        ids += [each.get("id") for each in root.iter() if each.get("id")]
        targets = {each.get("href") for each in root.iter() if each.get("href")}
        assert targets and targets <= {f"#{own}" for own in ids}
    assert len(set(ids)) == len(ids)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(3, 60))
@example([0.0] * 9, 8)
def test_thinning_keeps_ends_order_and_range(values, most):
    curve = list(enumerate(values))
    found = thinned(curve, most)
    assert len(found) <= most
    assert found[0] == curve[0] and found[-1][0] == curve[-1][0]
    steps = [step for step, _ in found]
    assert steps == sorted(set(steps))
    low, high = min(values), max(values)
    assert all(low - 1e-6 <= value <= high + 1e-6 for _, value in found)


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_in_a_script_is_the_same_and_no_markup(data):
    import json

    text = script_json(data)
    assert json.loads(text) == shown_values(data)
    assert not set(text) & set("<>&\u2028\u2029")
