"""Any-Precision LLM: nested tables of centroids."""
