"""Start a package of your own: what ``bitswitch plugins new`` writes."""
