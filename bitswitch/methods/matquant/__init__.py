"""MatQuant: narrow codes are slices of wide ones."""
