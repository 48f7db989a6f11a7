"""What a suite will cost, and whether it can run, before anything is trained."""
