from itertools import count

import torch
from torch.nn.functional import cross_entropy

from bitswitch.costs import Constraint
from bitswitch.searches.haq.fine_tuning import fine_tuned
from tests.searches.learning_problems import images, trained_network, with_network

POLICY = {"matters": (2, 2), "hardly": (4, 8)}


def loss(model):
    batch = images()
    with torch.no_grad(), model.eval().at(POLICY):
        return float(cross_entropy(model(batch.inputs), batch.targets))


def test_the_loss_at_the_policy_falls():
    problem = with_network(trained_network(), Constraint("average-bits", 5))
    tuned = fine_tuned(problem, POLICY, 30, 1e-2)
    assert loss(tuned) < 0.9 * loss(problem.model)


def test_more_steps_than_an_epoch_has_go_on_with_the_next():
    problem = with_network(trained_network(), Constraint("average-bits", 5), size=64)
    asked = count()
    give = problem.train_batches
    object.__setattr__(problem, "train_batches", lambda epoch: (next(asked), give(epoch))[1])
    fine_tuned(problem, POLICY, 6, 1e-3)
    assert next(asked) == 2


def test_every_call_gives_the_same():
    problem = with_network(trained_network(), Constraint("average-bits", 5))
    one, other = (fine_tuned(problem, POLICY, 4, 1e-2).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one if torch.is_tensor(one[name]))
