"""``timm``: any network of the timm library, by name."""

from functools import partial
from typing import Any

from pydantic import Field, field_validator
from torch import nn

from bitswitch.contracts import Model
from bitswitch.errors import hint
from bitswitch.models.weight_files import State
from bitswitch.models.weights import WeightOptions, load_weights
from bitswitch.randomness import seeded


class Timm(Model):
    """A network of timm; where its weights stand for other data than ImageNet, timm says so."""

    source = "wightman2019timm"

    class Options(WeightOptions):
        """Which network, and where its weights come from."""

        architecture: str
        """Name as in ``timm.list_models()``, optionally with a weight tag: ``resnet18.a1_in1k``."""
        arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
        """What the architecture is built with, e.g. ``{img_size: 32, patch_size: 4}``."""

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

    options: Options

    def build(self, classes: int, seed: int) -> nn.Module:
        import timm

        name = self.options.architecture
        arguments: dict[str, Any] = {**self.options.arguments}
        with seeded("model", seed):
            net: nn.Module = timm.create_model(name, num_classes=classes, **arguments)
        published = partial(_download, name)
        self.pretrained = load_weights(net, self.options, published, _address(name))
        return net


def _download(name: str) -> State:
    """Return the weights that timm publishes for ``name``."""
    import timm

    state: State = timm.create_model(name, pretrained=True).state_dict()
    return state


def _address(name: str) -> str:
    """Return where the weights of ``name`` are published."""
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return "timm knows of none"
    if config.hf_hub_id:
        return f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    return str(config.url)
