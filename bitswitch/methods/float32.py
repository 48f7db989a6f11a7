"""Full precision: the network as it is."""

from torch import Tensor

from bitswitch.contracts.card import Card
from bitswitch.contracts.method import Method
from bitswitch.errors import BitWidthError
from bitswitch.quant.quantizer import Quantizer


class Float32(Method):
    """Quantizes nothing; its bit set is (32,)."""

    card = Card(
        title="Full precision", fidelity="equations", storage="floats", licence="none needed"
    )

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        raise BitWidthError("Method 'float32' quantizes nothing: its bit set is (32,).")
