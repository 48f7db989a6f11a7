"""Start a package of your own: what ``bitswitch new`` writes."""
