"""A small network to score: three switchable layers, one of them depthwise."""

from bitswitch import testing
from bitswitch.contracts.sensitivity import ScoringInput
from bitswitch.runtime.randomness import generator
from bitswitch.tasks.classification import Classification
from bitswitch.testing.subject import batches
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)
LAYERS = ["3", "6", "11"]


def subject_of(method="limpq", bitset=BITSET, scored=None, **options):
    """Return the calibrated network of the checks at full precision, in evaluation mode."""
    model = testing.Subject.of(method, options, bitset).train_state().model.eval()
    model.switch(FLOAT_BITS)
    return ScoringInput(model, scored or bitset, batches, generator("test", 0), Classification())


def state_of(model):
    """Return copies of everything in a model that a sensitivity must leave alone."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return state, [(module, module.training) for module in model.modules()], model._policy
