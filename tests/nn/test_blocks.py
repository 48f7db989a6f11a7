import pytest
import torch

from bitswitch.nn.blocks import block, draw_blocks, shortcut_leaders

LAYERS = ["stages.0.0.conv1", "stages.0.0.conv2", "stages.1.0.conv1", "stages.1.0.shortcut"]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("stages.0.1.conv1", "stages.0.1"),
        ("stages.2.0.shortcut", "stages.2.0"),
        ("layer3.1.downsample.0", "layer3.1"),
        ("features.4.conv.1.0", "features.4"),
        ("blocks.11.attn.qkv", "blocks.11"),
        ("3", "3"),
        ("conv2", "conv2"),
    ],
)
def test_blocks_of_layers(layer, expected):
    assert block(layer) == expected


def test_blocks_are_drawn_whole():
    for seed in range(20):
        drawn = draw_blocks(LAYERS, 0.5, torch.Generator().manual_seed(seed))
        assert drawn in (set(), set(LAYERS[:2]), set(LAYERS[2:]), set(LAYERS))
    assert draw_blocks(LAYERS, 0.0, torch.Generator()) == set()


def test_shortcuts_follow_the_first_layer_of_their_block():
    found = shortcut_leaders([*LAYERS, "layer3.1.conv1", "layer3.1.downsample.0", "head"])
    assert found == {
        "stages.1.0.shortcut": "stages.1.0.conv1",
        "layer3.1.downsample.0": "layer3.1.conv1",
    }
    assert shortcut_leaders(["3.shortcut"]) == {}
