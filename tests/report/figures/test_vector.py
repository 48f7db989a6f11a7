"""Tests of ``bitswitch.report.figures.vector``."""

import re
from xml.etree import ElementTree

import numpy as np

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
    (line,) = root.find(f"{SPACE}g[@class='points']")
    assert line.get("data-tip") == 'a "quoted" <line> · {} · {}'
    left, _, *first, right, _, x, y = line.get("data-at").split("|")
    assert (*first, x, y) == ("1", "3", "2", "4")
    assert 0 < float(left) < float(right) < float(root.get("viewBox").split()[2])


def test_two_figures_in_one_page_share_no_identifier(tmp_path):
    found = [set(re.findall(r' id="([^"]+)"', drawn(tmp_path, name))) for name in ("one", "two")]
    assert found[0]
    assert not found[0] & found[1]
    text = drawn(tmp_path, "one")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    assert used == {one for one in found[0] if "-" in one}
    assert len(found[0] - used) == 1


def test_ink_follows_the_page(tmp_path):
    text = drawn(tmp_path, "one")
    assert "#000000" not in text
    assert "#ffffff" not in text
    assert "currentColor" in text


def test_looks_are_those_of_one_figure(tmp_path):
    root = ElementTree.fromstring(drawn(tmp_path, "one"))
    scope, style = root.get("id"), root.find(f"{SPACE}style").text
    rules = dict(re.findall(rf"#{scope} \.(\w+)\{{(.*?)\}}", style))
    assert style.count("{") == len(rules)
    used = [element.get("class") for element in root.iter() if element.get("class")]
    assert set(used) - {"points"} == rules.keys()
    assert all(used.count(name) > 1 for name in rules)
    assert not {"font-family", "none;stroke"} & {part for look in rules.values() for part in look}


def test_what_is_drawn_in_many_places_is_the_marker_of_one_path(tmp_path):
    with drawing.style():
        figure = drawing.figure(2.0, "suite")
        axes = figure.subplots()
        values = np.random.default_rng(0).normal(size=40)
        axes.plot(values, "o", color="#D55E00")
        axes.plot([0, 1], [0, 0], "s", color="#009E73")
        *_, path = drawing.save(figure, tmp_path / "one")
        expected = axes.transData.transform(np.column_stack([np.arange(40), values]))
    root = ElementTree.fromstring(path.read_text())
    (marker,) = root.iter(f"{SPACE}marker")
    assert "#d55e00" in marker.get("style")
    shape = marker.find(f"{SPACE}use").get("href").removeprefix("#")
    assert any(one.get("id") == shape for one in root.iter(f"{SPACE}path"))
    (line,) = (one for one in root.iter(f"{SPACE}path") if marker.get("id") in one.get("style", ""))
    assert line.get("fill") == "none"
    height = float(root.get("viewBox").split()[3])
    scale = 72 / figure.dpi
    drawn_at = np.array(places(line.get("d")))
    np.testing.assert_allclose(drawn_at[:, 0], scale * expected[:, 0], atol=0.06)
    np.testing.assert_allclose(height - drawn_at[:, 1], scale * expected[:, 1], atol=0.06)
    few = [one for one in root.iter(f"{SPACE}use") if one.get("x")]
    assert len(few) >= 2


def places(path: str) -> list[tuple[float, float]]:
    """Return the ends of the straight steps of a path, from where it begins."""
    x = y = 0.0
    found = []
    for command, text in re.findall(r"([MlhvL])([^MlhvL]*)", path):
        numbers = [float(one) for one in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        across = numbers[0] if command != "v" else 0.0
        down = numbers[-1] if command != "h" else 0.0
        x, y = (across, down) if command == "M" else (x + across, y + down)
        found.append((x, y))
    return found


def test_a_marker_takes_few_bytes(tmp_path):
    sizes = []
    for count in (100, 1100):  # of both, as many values are told
        with drawing.style():
            figure = drawing.figure(2.0, "suite")
            values = np.random.default_rng(0).normal(size=count)
            figure.subplots().plot(values, "o")
            *_, path = drawing.save(figure, tmp_path / f"{count}")
        sizes.append(path.stat().st_size)
    assert 3 < (sizes[1] - sizes[0]) / 1000 < 12


def test_a_value_takes_few_bytes(tmp_path):
    sizes = []
    for count in (100, 1100):
        with drawing.style():
            figure = drawing.figure(2.0, "suite")
            rng = np.random.default_rng(0)
            figure.subplots().plot(rng.normal(size=count))
            *_, path = drawing.save(figure, tmp_path / f"{count}")
        sizes.append(path.stat().st_size)
    assert (sizes[1] - sizes[0]) / 1000 < 12
