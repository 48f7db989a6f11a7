"""Two collections of results side by side: what differs, and whether beyond noise."""
