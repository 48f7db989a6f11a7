import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.contracts.data import Batch
from bitswitch.searches.dnas.hash_split import HashSplit


def batches(count, size, seed=0):
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return [Batch(i.float()[:, None], i * 10, i) for i in order.split(size) if len(i) == size]


@given(share=st.floats(0.1, 0.9), salt=st.integers(0, 2**31 - 1))
def test_about_the_share_is_taken_apart(share, salt):
    chosen = HashSplit(share, salt).is_share(torch.arange(4000)).double()
    assert abs(float(chosen.mean()) - share) < 0.05


def test_the_choice_is_even_over_classes_that_take_turns():
    chosen = HashSplit(0.2, 7).is_share(torch.arange(20000)).double().reshape(-1, 10)
    assert (chosen.mean(0) - 0.2).abs().max() < 0.04


def test_other_salts_take_other_images():
    one, other = (HashSplit(0.5, salt).is_share(torch.arange(100)) for salt in (1, 2))
    assert not torch.equal(one, other)


def test_no_image_is_ever_in_both_parts_and_batches_are_full():
    split, seen = HashSplit(0.3, 5), {False: [], True: []}
    for epoch in range(3):
        for is_share, batch in split.parted(batches(200, 16, epoch)):
            assert len(batch.targets) == 16
            assert torch.equal(batch.targets, batch.indices * 10)
            assert torch.equal(batch.inputs[:, 0].long(), batch.indices)
            seen[is_share] += batch.indices.tolist()
    assert not set(seen[False]) & set(seen[True])
    assert len(seen[True]) > 0.2 * 3 * 192
    assert len(seen[False]) + len(seen[True]) > 3 * 192 - 32


def test_images_left_over_wait_for_the_next_epoch():
    split = HashSplit(0.2, 3)
    first = [share for share, _ in split.parted(batches(32, 16))]
    then = [share for epoch in range(1, 4) for share, _ in split.parted(batches(32, 16, epoch))]
    assert True not in first
    assert True in then


def test_each_part_sees_every_one_of_its_images_once_an_epoch():
    split = HashSplit(0.5, 1)
    found = [batch.indices for share, batch in split.parted(batches(64, 8)) if share]
    indices = torch.cat(found).tolist()
    assert len(set(indices)) == len(indices)
