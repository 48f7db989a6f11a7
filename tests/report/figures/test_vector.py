"""Tests of ``bitswitch.report.figures.vector``."""

import re
from xml.etree import ElementTree

from bitswitch.report.figures import drawing

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(folder, name):
    with drawing.style():
        figure = drawing.figure(2.0, "suite a: b; c")
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], marker="o", label='a "quoted" <line>')
        axes.legend()
        *_, path = drawing.save(figure, folder / name, "What & where")
    return path.read_text()


def test_text_stays_text_and_values_can_be_pointed_at(tmp_path):
    root = ElementTree.fromstring(drawn(tmp_path, "one"))
    assert "suite a: b; c" in [text.text for text in root.iter(f"{SPACE}text")]
    assert root.find(f"{SPACE}title").text == root.get("aria-label") == "What & where"
    tips = [circle.get("data-tip") for circle in root.iter(f"{SPACE}circle")]
    assert tips == ['a "quoted" <line> · 1 · 3', 'a "quoted" <line> · 2 · 4']
    left, right = (float(circle.get("cx")) for circle in root.iter(f"{SPACE}circle"))
    assert 0 < left < right < float(root.get("viewBox").split()[2])


def test_two_figures_in_one_page_share_no_identifier(tmp_path):
    found = [set(re.findall(r' id="([^"]+)"', drawn(tmp_path, name))) for name in ("one", "two")]
    assert found[0]
    assert not found[0] & found[1]
    text = drawn(tmp_path, "one")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    assert used == found[0]


def test_ink_follows_the_page(tmp_path):
    text = drawn(tmp_path, "one")
    assert "#000000" not in text
    assert "#ffffff" not in text
    assert "currentColor" in text
    assert "<style" not in text
