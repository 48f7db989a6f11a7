"""hessian."""
