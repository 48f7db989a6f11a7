"""eq_net."""
