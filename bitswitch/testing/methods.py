"""All checks of a method, in the order in which they are best read."""

from collections.abc import Callable

from bitswitch.testing import deployment, description, learning, passes, switching
from bitswitch.testing.subject import Subject

CHECKS: tuple[Callable[[Subject], None], ...] = (
    description.card_is_complete,
    description.source_is_cited,
    description.recipes_can_be_used,
    description.refusals_are_sentences,
    description.learned_scales_are_known,
    passes.passes_are_of_the_bit_set,
    passes.teachers_are_earlier_passes,
    passes.every_bit_width_is_visited,
    passes.passes_depend_on_the_step_alone,
    passes.separate_updates_follow_every_pass,
    deployment.codes_are_integers_of_the_width,
    deployment.trained_value_is_the_deployed_one,
    deployment.quantizing_twice_gives_the_same,
    deployment.narrow_codes_come_from_the_widest,
    deployment.tables_have_no_codes,
    switching.switching_away_and_back_changes_nothing,
    switching.state_round_trips,
    switching.copies_are_independent,
    learning.gradients_are_finite_and_reach_everything,
    learning.training_lowers_the_loss,
    learning.finishing_leaves_it_ready,
    learning.scales_are_marked,
    learning.compiled_is_eager,
)
"""Each raises ``CheckFailed``; the first line of its docstring says what holds if it does not."""
