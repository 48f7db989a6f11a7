import pytest

from bitswitch.errors import ReportError
from bitswitch.report.figures import drawing, policy_figure
from tests.cli.test_policy_text import policy


def test_one_row_of_bars_per_policy(tmp_path):
    files = [policy(conv1=(4, 4), conv2=(2, 4)), policy("haq", conv1=(2, 2), conv2=(4, 4))]
    drawn = policy_figure.draw(files)
    heights = [[bar.get_height() for bar in axes.patches] for axes in drawn.axes]
    assert heights == [[4, 2], [2, 4]]
    assert [axes.get_legend() is not None for axes in drawn.axes] == [True, False]
    assert [path.suffix for path in drawing.save(drawn, tmp_path / "p")] == [
        ".pdf",
        ".png",
        ".svg",
    ]


def test_policies_of_two_networks_are_refused():
    with pytest.raises(ReportError, match="different networks"):
        policy_figure.draw([policy(conv1=(4, 4)), policy(conv2=(4, 4))])
