"""Whether compiled passes can be captured as CUDA graphs, as far as their graphs tell.

A graph that has a tensor on the processor is not captured, nor is one that changes in place what is
not always in the same memory; what lies elsewhere in every step is copied before every replay.
"""

import pytest
import torch
from torch._dynamo.utils import counters
from torch._functorch.aot_autograd import aot_module_simplified, make_boxed_func

from bitswitch.plugins import registry
from bitswitch.training.step import train_step
from tests.recipes import RECIPES

from .conftest import META
from .test_meta_device_training import learner_of, on_meta, step_info

EVERY_COMMIT = ("double-rounding", "float32")
IN_PARTS = {"eq-net", "rfquant"}
"""Whose networks do some work outside any graph."""
METHODS = [name for name in registry.names("methods") if registry.load("methods", name).trains]


class Graphs:
    """A backend of ``torch.compile`` that keeps what it is given."""

    def __init__(self):
        self.devices = set()
        self.moving = []
        """Of every forward graph, the inputs that may lie elsewhere in the next step."""
        self.changed = []
        """Of every forward graph, the inputs that it changes in place."""

    def __call__(self, graph, inputs):
        options = {"fw_compiler": self.forward, "bw_compiler": self.backward}
        return aot_module_simplified(graph, inputs, **options)

    def forward(self, graph, inputs):
        facts = torch._guards.TracingContext.get().fw_metadata
        count = len(facts.input_info)
        self.moving.append(set(range(count)) - set(facts.static_input_indices))
        self.changed.append({k for k in range(count) if facts.input_info[k].mutates_data})
        return self.backward(graph, inputs)

    def backward(self, graph, inputs):
        for node in graph.graph.nodes:
            values = node.meta.get("val")
            for value in values if isinstance(values, tuple | list) else [values]:
                if isinstance(value, torch.Tensor):
                    self.devices.add(value.device)
        return make_boxed_func(graph.forward)


@pytest.mark.parametrize(
    "name",
    [
        name if name in EVERY_COMMIT else pytest.param(name, marks=pytest.mark.long)
        for name in METHODS
    ],
)
def test_meta_device_graphs_can_be_captured(name):
    torch.compiler.reset()
    counters.clear()
    train_state, graphs = learner_of(name, RECIPES), Graphs()
    train_state.model.compile(graphs)
    for step in (0, 20):
        train_step(train_state, on_meta(step), 1e-3, step_info(step))
    assert graphs.devices <= {META}
    if name not in IN_PARTS:
        assert not counters["graph_break"]
        for moving, changed in zip(graphs.moving, graphs.changed, strict=True):
            assert len(moving) == 1  # the images
            assert not moving & changed
