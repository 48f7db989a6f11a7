import pytest
import torch
from torch.nn import functional

from bitswitch.data.rendering import CLASSES, SPLITS, render, scans, split_sources


def test_every_scan_belongs_to_exactly_one_split():
    _, labels = scans()
    pools = split_sources(labels)
    everything = torch.cat([part for split in SPLITS for part in pools[split]])
    assert torch.equal(everything.sort().values, torch.arange(len(labels)))


def test_images_show_only_scans_of_their_split():
    _, labels = scans()
    pools = split_sources(labels)
    for split in SPLITS:
        rendered = render(split, 300, 8, 1.0)
        assert torch.isin(rendered.sources, torch.cat(pools[split])).all()
        assert torch.equal(labels[rendered.sources[:, 0]], rendered.targets)


def test_classes_are_balanced():
    assert render("test", 50, 8, 1.0).targets.bincount().tolist() == [5] * CLASSES


def test_rendering_repeats_itself_whatever_ran_before():
    first = render("train", 40, 16, 1.0)
    torch.rand(7)
    state = torch.get_rng_state()
    second = render("train", 40, 16, 1.0)
    assert torch.equal(first.images, second.images)
    assert torch.equal(torch.get_rng_state(), state)


def test_splits_look_different():
    train, test = (render(split, 40, 16, 1.0).images for split in ("train", "test"))
    assert not torch.equal(train, test)


def test_an_image_shows_the_same_scene_at_every_size():
    small, large = (render("train", 30, size, 1.0).images.float() for size in (16, 48))
    shrunk = functional.avg_pool2d(large.permute(0, 3, 1, 2), 3).permute(0, 2, 3, 1)
    assert (shrunk - small).abs().mean() < 12  # of 255: the fine texture averages out


def test_pixels_are_rgb_bytes_that_use_the_range():
    images = render("train", 100, 16, 1.0).images
    assert images.shape == (100, 16, 16, 3)
    assert images.dtype == torch.uint8
    assert images.is_contiguous()
    assert 80 < images.float().mean() < 140
    assert 60 < images.float().std() < 100


@pytest.mark.parametrize("digit", range(CLASSES))
def test_without_difficulty_a_scan_is_seen_plainly(digit):
    images, _ = scans()
    rendered = render("train", CLASSES, 16, 0.0)
    source = images[rendered.sources[digit, 0]].flatten()
    grey = rendered.images[digit].float().mean(2)[None, None]
    seen = functional.adaptive_avg_pool2d(grey, 8).flatten()
    assert torch.corrcoef(torch.stack([source, seen]))[0, 1].abs() > 0.6


def test_difficulty_adds_texture():
    corner = (slice(None), slice(0, 3), slice(0, 3))
    plain, hard = (render("train", 60, 16, level).images[corner].float() for level in (0.0, 2.0))
    assert plain.std((1, 2)).mean() < 5 < 20 < hard.std((1, 2)).mean()
