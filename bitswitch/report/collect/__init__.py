"""From files of jobs to tidy tables, published numbers beside them."""
