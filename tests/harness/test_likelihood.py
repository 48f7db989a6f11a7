"""Log-probabilities of continuations, beside those of one token after the other."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.harness.likelihood import Pair, likelihoods, read, rolling

CPU = torch.device("cpu")
VOCABULARY, ROOM = 7, 5


def table(tokens):
    """Return logits of a made-up decoder: what follows depends on all tokens before."""
    places = torch.arange(tokens.shape[1]) + 1
    seen = (tokens * places).cumsum(1)[..., None]
    return torch.sin(0.7 * seen + torch.arange(VOCABULARY)).float() * 3


def one_by_one(pair, room):
    """Return log-probability and greediness of a continuation, token by token, in float64."""
    total, greedy = 0.0, True
    window = [*pair.context, *pair.continuation][-(room + 1) : -1]
    start = len(window) - len(pair.continuation)
    for place, token in enumerate(pair.continuation):
        row = table(torch.tensor([window[: start + place + 1]]))[0, -1].double().tolist()
        total += row[token] - math.log(sum(math.exp(value) for value in row))
        greedy &= row[token] == max(row)
    return total, greedy


PAIRS = [
    Pair([1, 2, 3], [4]),
    Pair([0], [1, 2, 3, 4, 5]),
    Pair([6, 5, 4, 3, 2, 1], [0, 1]),
    Pair([3], [2]),
    *(Pair([2, 2], [token]) for token in range(VOCABULARY)),
]


@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_likelihoods_are_those_of_one_token_after_the_other(batch_size):
    found = likelihoods(PAIRS, table, ROOM, batch_size, CPU)
    for one, pair in zip(found, PAIRS, strict=True):
        log, greedy = one_by_one(pair, ROOM)
        assert (one.log, one.greedy) == (pytest.approx(log, abs=1e-5), greedy)
    assert sum(one.greedy for one in found[-VOCABULARY:]) == 1
    assert sum(math.exp(one.log) for one in found[-VOCABULARY:]) == pytest.approx(1)


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 9))
def test_rolling_predicts_every_token_once_from_as_much_as_there_is(tokens, room):
    whole, end = [0, *tokens], 1
    for pair in rolling(tokens, 0, room):
        end += len(pair.continuation)
        assert [*pair.context, *pair.continuation] == whole[max(end - room - 1, 0) : end]
        assert pair.context
    assert end == len(whole)


def test_windows_that_begin_with_a_token_keep_it():
    asked = Counter(len(read(Pair(range(1, n), [9]), ROOM, first=8)) for n in range(2, 12))
    assert max(asked) == ROOM
    assert read(Pair([8, 1, 2], [3, 4]), ROOM, first=8) == [8, 1, 2, 3]
    assert read(Pair([8, 1, 2, 3, 4, 5], [6]), ROOM, first=8) == [8, 2, 3, 4, 5]
