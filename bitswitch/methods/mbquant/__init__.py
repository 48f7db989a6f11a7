"""mbquant."""
