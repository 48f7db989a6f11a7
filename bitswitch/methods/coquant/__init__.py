"""CoQuant: an adaptively chosen teacher for every bit-width."""
