"""Which translation an operation of a network has, and how a program writes it."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bitswitch.deployment.onnx.operators import elementwise, products, reductions, shapes, windows
from bitswitch.deployment.onnx.operators.calls import Call

Translation = Callable[[Call], Any]

FUNCTIONS: dict[object, Translation] = {
    functional.relu: elementwise.relu,
    torch.relu: elementwise.relu,
    torch.relu_: elementwise.relu,
    "relu": elementwise.relu,
    "relu_": elementwise.relu,
    functional.relu6: elementwise.relu6,
    functional.silu: elementwise.silu,
    functional.gelu: elementwise.gelu,
    functional.hardswish: elementwise.hardswish,
    functional.hardsigmoid: elementwise.hardsigmoid,
    functional.leaky_relu: elementwise.leaky_relu,
    functional.sigmoid: elementwise.sigmoid,
    torch.sigmoid: elementwise.sigmoid,
    "sigmoid": elementwise.sigmoid,
    functional.tanh: elementwise.tanh,
    torch.tanh: elementwise.tanh,
    "tanh": elementwise.tanh,
    torch.clamp: elementwise.clamp,
    "clamp": elementwise.clamp,
    functional.softmax: reductions.softmax,
    torch.softmax: reductions.softmax,
    "softmax": reductions.softmax,
    operator.add: elementwise.add,
    operator.iadd: elementwise.add,
    torch.add: elementwise.add,
    operator.sub: elementwise.subtract,
    operator.mul: elementwise.multiply,
    operator.imul: elementwise.multiply,
    torch.mul: elementwise.multiply,
    operator.truediv: elementwise.divide,
    operator.floordiv: elementwise.divide_sizes,
    operator.neg: elementwise.negative,
    operator.pow: elementwise.power,
    torch.pow: elementwise.power,
    "pow": elementwise.power,
    torch.sqrt: elementwise.root,
    torch.rsqrt: elementwise.inverse_root,
    torch.where: elementwise.where,
    "masked_fill": elementwise.masked_fill,
    "long": elementwise.whole,
    "float": elementwise.floating,
    "to": elementwise.converted,
    operator.matmul: products.matrix_product,
    torch.matmul: products.matrix_product,
    torch.bmm: products.matrix_product,
    "matmul": products.matrix_product,
    functional.scaled_dot_product_attention: products.attention,
    functional.embedding: products.embedding,
    torch.cat: shapes.concatenate,
    torch.stack: shapes.stack,
    torch.flatten: shapes.flatten,
    "flatten": shapes.flatten,
    "unflatten": shapes.unflatten,
    torch.unflatten: shapes.unflatten,
    "repeat_interleave": shapes.repeated,
    torch.repeat_interleave: shapes.repeated,
    "view": shapes.reshape,
    "reshape": shapes.reshape,
    torch.reshape: shapes.reshape,
    "expand": shapes.expand,
    "squeeze": shapes.squeeze,
    torch.squeeze: shapes.squeeze,
    "unsqueeze": shapes.unsqueeze,
    torch.unsqueeze: shapes.unsqueeze,
    "permute": shapes.permute,
    torch.permute: shapes.permute,
    "transpose": shapes.transpose,
    torch.transpose: shapes.transpose,
    "unbind": shapes.unbind,
    torch.unbind: shapes.unbind,
    "chunk": shapes.chunk,
    torch.chunk: shapes.chunk,
    "split": shapes.split,
    torch.split: shapes.split,
    "size": shapes.sizes,
    "dim": shapes.rank,
    getattr: shapes.attribute,
    operator.getitem: shapes.select,
    "contiguous": elementwise.unchanged,
    "mean": reductions.mean,
    torch.mean: reductions.mean,
    "amax": reductions.amax,
    torch.amax: reductions.amax,
    functional.layer_norm: reductions.layer_norm,
    functional.rms_norm: reductions.rms_norm,
    functional.adaptive_avg_pool2d: windows.global_average,
    functional.max_pool2d: windows.max_pool,
    torch.max_pool2d: windows.max_pool,
    functional.avg_pool2d: windows.average_pool,
    functional.pad: windows.pad,
    functional.dropout: elementwise.dropout,
}
"""Functions, and methods by name."""
MODULES: dict[type[nn.Module], Translation] = {
    nn.ReLU: elementwise.relu,
    nn.ReLU6: elementwise.relu6,
    nn.SiLU: elementwise.silu,
    nn.GELU: elementwise.gelu,
    nn.Hardswish: elementwise.hardswish,
    nn.Hardsigmoid: elementwise.hardsigmoid,
    nn.LeakyReLU: elementwise.leaky_relu,
    nn.Sigmoid: elementwise.sigmoid,
    nn.Tanh: elementwise.tanh,
    nn.Softmax: reductions.softmax,
    nn.LayerNorm: reductions.layer_norm,
    nn.RMSNorm: reductions.rms_norm,
    nn.Flatten: shapes.flatten,
    nn.AdaptiveAvgPool2d: windows.global_average,
    nn.MaxPool2d: windows.max_pool,
    nn.AvgPool2d: windows.average_pool,
    nn.Dropout: elementwise.unchanged,
    nn.Dropout1d: elementwise.unchanged,
    nn.Dropout2d: elementwise.unchanged,
    nn.Identity: elementwise.unchanged,
    nn.Conv2d: products.float_layer,
    nn.Linear: products.float_layer,
    nn.Embedding: products.embedding,
}


_SIGNS = {
    operator.add: "+",
    operator.iadd: "+=",
    operator.sub: "-",
    operator.neg: "-x",
    operator.mul: "*",
    operator.imul: "*=",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.pow: "**",
    operator.matmul: "@",
    operator.getitem: "x[i:j]",
    getattr: "x.shape",
}


def written(target: Any) -> str:
    """Return how a program writes a call of ``target``, a key of the tables above."""
    name = getattr(target, "__name__", str(target))
    if isinstance(target, str):
        return f"x.{target}()"
    if isinstance(target, type):
        return f"nn.{name}" if target.__module__.startswith("torch.nn") else name
    if target in _SIGNS:
        return _SIGNS[target]
    module = "F" if getattr(functional, name, None) is target else "torch"
    return f"{module}.{name}"
