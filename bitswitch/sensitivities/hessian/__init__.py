"""Hessian traces of layers, estimated to a stated precision."""
