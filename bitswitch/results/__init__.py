"""Files that jobs leave, one class each, for who writes and who reads them."""
