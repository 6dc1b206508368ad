"""Lines that are kept with prepared data: all of them, whatever is shown meanwhile, and nothing else."""

from __future__ import annotations

import logging

from ner_dist.data.notes import detail, recorded, say_again, without_details

reader = logging.getLogger("ner_dist.data.readers")


def test_lines_are_kept_and_shown_as_ever(log_lines):
    with recorded() as notes:
        reader.info("%d rows", 3)
        reader.warning("a line without its word")
        reader.debug("nobody asked")
        logging.getLogger("ner_dist.model.encoder").info("of something else")
        logging.getLogger("ner_dist.data.prepare").info("tokenising")
    assert notes == [("info", "3 rows"), ("warning", "a line without its word")]
    assert log_lines == ["3 rows", "a line without its word", "of something else", "tokenising"]
    reader.info("after it")
    assert len(notes) == 2 and log_lines[-1] == "after it"


def test_a_rank_that_shows_nothing_keeps_all(log_lines):
    package = logging.getLogger("ner_dist")
    package.setLevel(logging.ERROR)
    with recorded() as notes:
        reader.warning("cut short")
    assert notes == [("warning", "cut short")] and log_lines == []


def test_what_a_failure_cut_off_was_shown(log_lines):
    try:
        with recorded():
            reader.info("read as IOB1")
            raise ValueError
    except ValueError:
        reader.info("still heard")
    assert log_lines == ["read as IOB1", "still heard"]


def test_lines_come_again_at_their_levels_and_as_they_are(caplog):
    with caplog.at_level(logging.INFO, logger="tests"):
        say_again([("info", "100 %s of it"), ("warning", "act")], log=logging.getLogger("tests"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "100 %s of it"),
        ("WARNING", "act"),
    ]


def test_details_are_kept_without_being_shown(log_lines):
    with recorded() as notes:
        reader.info("2 spans")
        detail("a.jsonl:1: one")
        detail("a.jsonl:2: two")
    detail("after it")
    assert without_details(notes) == ([("info", "2 spans")], ["a.jsonl:1: one", "a.jsonl:2: two"])
    assert log_lines == ["2 spans"]
