import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.sensitivities.hessian.orthogonal_signs import OrthogonalSigns, population


def drawn(images, size, seed=0):
    signs = OrthogonalSigns.draw(images, size, torch.Generator().manual_seed(seed))
    return torch.stack([signs.vectors(index) for index in range(population(size))], dim=1)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 70), st.integers(0, 100))
def test_all_vectors_of_an_image_average_to_the_identity(size, seed):
    vectors = drawn(3, size, seed).long()
    assert set(vectors.unique().tolist()) <= {-1, 1}
    expected = torch.eye(size, dtype=torch.long) * population(size)
    assert all(torch.equal(image.T @ image, expected) for image in vectors)


def test_each_vector_is_one_of_independent_signs():
    vectors = drawn(20_000, 3)[:, 1].float()
    _, counts = vectors.unique(dim=0, return_counts=True)
    assert len(counts) == 8
    assert ((counts / 20_000 - 1 / 8).abs() < 0.01).all()  # four standard errors


def test_images_have_signs_of_their_own():
    first, second = drawn(2, 64).float()
    assert (first @ second.T).abs().max() < 64


def test_large_sets_keep_to_their_size():
    signs = OrthogonalSigns.draw(1, 5000, torch.Generator().manual_seed(0))
    one, other = (signs.vectors(index)[0].float() for index in (0, 8191))
    assert one.shape == (5000,)
    assert abs(float(one @ other)) < 5000
