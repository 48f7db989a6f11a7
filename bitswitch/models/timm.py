"""``timm``: any network of the timm library, by name."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import Field, field_validator
from torch import nn

from bitswitch.contracts.data import Download, Model
from bitswitch.errors import hint, shown
from bitswitch.models.weight_files import State
from bitswitch.models.weights import WeightOptions, kept_at, load_weights
from bitswitch.runtime.randomness import seeded

SINGLE = "model.safetensors"
TAKEN = {
    "num_classes": "is the number of the dataset's classes: leave it out",
    "in_chans": "is 3, as datasets give: leave it out",
    "features_only": "makes no classifier: leave it out",
    "pretrained": "is not read: say where weights come from in the model's option 'weights'",
    "checkpoint_path": "is not read: name the file in the model's option 'weights'",
    "cache_dir": "is not read: set the environment variable HF_HOME",
    "pretrained_cfg": "is not read: name the weights in the architecture, e.g. resnet18.a1_in1k",
    "pretrained_cfg_overlay": "is not read: name the file in the model's option 'weights'",
}
"""Arguments that are none of a suite's, and what to do instead."""


def _problem_of(value: Any) -> str | None:
    """Return why timm cannot be given ``value``, or None."""
    if isinstance(value, list):
        return next(filter(None, map(_problem_of, value)), None)
    if isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
        return f"is the word '{value}': write true or false"
    if not isinstance(value, bool | int | float | str | None):
        return f"is {shown(repr(value), 40)}: numbers, words, true, false, null, and lists of them"
    return None


class Timm(Model):
    """A network of timm; where its weights stand for other data than ImageNet, timm says so."""

    source = "wightman2019timm"

    class Options(WeightOptions):
        """Which network, and where its weights come from."""

        architecture: str
        """Name as in ``timm.list_models()``, optionally with a weight tag: ``resnet18.a1_in1k``."""
        arguments: dict[str, Any] = Field(default_factory=dict)
        """What the architecture is built with, e.g. ``{img_size: 32, depths: [2, 2]}``."""

        @field_validator("architecture")
        @classmethod
        def _known(cls, name: str) -> str:
            import timm

            base, _, tag = name.partition(".")
            if not timm.is_model(base):
                raise ValueError(f"timm has no model '{base}'.{hint(base, timm.list_models())}")
            tagged = timm.list_pretrained(f"{base}.*")
            if tag and name not in tagged:
                raise ValueError(f"timm has no weights '{name}'.{hint(name, tagged)}")
            return name

        @field_validator("arguments")
        @classmethod
        def _plain(cls, arguments: dict[str, Any]) -> dict[str, Any]:
            for name, value in arguments.items():
                problem = TAKEN.get(name) or _problem_of(value)
                if problem:
                    raise ValueError(f"'{name}' {problem}")
            return arguments

    options: Options

    def build(self, outputs: int, seed: int) -> nn.Module:
        import timm

        name = self.options.architecture
        arguments: dict[str, Any] = {**self.options.arguments}
        with seeded("model", seed):
            net: nn.Module = timm.create_model(name, num_classes=outputs, **arguments)
        file = _file(name)
        self.pretrained = load_weights(net, self.options, partial(_read, name, file), file)
        return net

    def download(self) -> Download | None:
        name = self.options.architecture
        file = _file(name)
        is_here = file.path.exists() or _is_cached(name)
        return None if self.options.weights != "imagenet" or is_here else file

    def recomputable(self, net: nn.Module) -> Sequence[str]:
        """Return the blocks of residual networks and of vision transformers, DeiT's too.

        Those that drop out values are none: they would drop others the second time.
        """
        from timm.models import resnet, vision_transformer

        blocks = (resnet.BasicBlock, resnet.Bottleneck, vision_transformer.Block)
        found = {name: part for name, part in net.named_modules() if isinstance(part, blocks)}
        return [name for name, block in found.items() if not _drops_out(block)]


def _drops_out(block: nn.Module) -> bool:
    """Return whether something in ``block`` draws random numbers in training."""
    rates = ("p", "drop_prob")
    return any(getattr(part, rate, None) for part in block.modules() for rate in rates)


def _read(name: str, file: Download) -> State:
    """Return the weights that timm publishes for ``name``, from torch's cache if they are there."""
    import timm

    local: dict[str, Any] = (
        {"pretrained_cfg_overlay": {"file": str(file.path)}} if file.path.exists() else {}
    )
    state: State = timm.create_model(name, pretrained=True, **local).state_dict()
    return state


def _file(name: str) -> Download:
    """Return where the weights of ``name`` are published, and where a copy is looked for."""
    return Download(_address(name), kept_at(f"{name}.safetensors"))


def _is_cached(name: str) -> bool:
    """Return whether timm has downloaded the weights of ``name`` before."""
    import timm
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    source = config.hf_hub_id if config else None
    return bool(source) and isinstance(try_to_load_from_cache(source, SINGLE), str)


def _address(name: str) -> str:
    """Return where the weights of ``name`` are published."""
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return "timm knows of none"
    if config.hf_hub_id:
        return f"https://huggingface.co/{config.hf_hub_id}/resolve/main/{SINGLE}"
    return str(config.url)
