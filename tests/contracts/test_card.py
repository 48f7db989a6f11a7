from bitswitch.contracts.card import Card, Recipe


def test_a_card_needs_title_fidelity_storage_and_licence():
    card = Card("A", "vectors", "codes", "MIT")
    assert (card.left_open, card.deviations, card.missing) == ("", "", "")


def test_a_recipe_may_leave_the_options_alone():
    assert Recipe({"epochs": 3}).options == {}
