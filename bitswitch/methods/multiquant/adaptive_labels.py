"""Labels that a network makes for itself: what it said of each class in the epoch before."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softmax

from bitswitch.runtime import transfers
from bitswitch.runtime.ranks import ALONE


class AdaptiveLabels(nn.Module):
    """One soft label per class, renewed from epoch to epoch.

    Within an epoch, predictions for images that are classified correctly are added up by class;
    their mean is the label of that class in the next epoch. A class without any keeps its label.
    In the first epoch all labels are uniform.

    Args:
        classes: How many there are.

    Source: zhang2021delving, section 3.
    """

    labels: Tensor
    """float32 [classes, classes]; each row, of one class, adds up to 1."""
    sums: Tensor
    """float32 [classes, classes], of predictions since the epoch began."""
    counts: Tensor
    """float32 [classes], of images that were added."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("labels", torch.full((classes, classes), 1 / classes))
        self.register_buffer("sums", torch.zeros(classes, classes))
        self.register_buffer("counts", torch.zeros(classes))
        self.epoch = 0

    @torch.no_grad()
    def begin(self, epoch: int) -> None:
        """Renew the labels if a new ``epoch`` has begun."""
        if epoch == self.epoch:
            return
        self.epoch = epoch
        seen = self.counts[:, None]
        self.labels.copy_(torch.where(seen > 0, self.sums / seen.clamp(min=1), self.labels))
        self.sums.zero_()
        self.counts.zero_()

    @torch.no_grad()
    def note(
        self,
        logits: Tensor,
        targets: Tensor,
        total: Callable[[Sequence[Tensor]], None] = ALONE.total,
    ) -> None:
        """Add the predictions that are correct.

        Args:
            logits: [n, classes].
            targets: Class indices [n].
            total: Makes sums over these examples those over the whole batch, in place.
        """
        correct = logits.argmax(1) == targets
        members = (one_hot(targets, len(self.counts)) * correct[:, None]).to(self.sums.dtype)
        found = members.T @ softmax(logits.detach(), dim=1).to(self.sums.dtype), members.sum(0)
        total(found)
        self.sums += found[0]
        self.counts += found[1]

    def mixed(self, hard: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return ``share`` of the adaptive labels plus the rest of the given ones [n, classes].

        Args:
            hard: Soft targets [n, classes], or class indices [n].
            targets: Class indices [n].
            share: 0 to 1.
        """
        given = hard if hard.is_floating_point() else one_hot(hard, len(self.counts))
        return share * self.labels[targets] + (1 - share) * given

    def get_extra_state(self) -> Tensor:
        """Return the epoch that is being added up."""
        return torch.tensor(self.epoch)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the epoch from a state dict."""
        self.epoch = transfers.to_host(state)
