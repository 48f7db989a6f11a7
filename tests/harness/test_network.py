"""A trained decoder scores and continues texts as lm-eval asks; lm-eval is not needed."""

import pytest
import torch

from bitswitch.deployment.export import export
from bitswitch.deployment.generation import CachedReader, generated, most_likely
from bitswitch.errors import BitWidthError, CheckpointError, DatasetError, SpecError
from bitswitch.harness.decoder import deployed, trained
from bitswitch.harness.network import Network
from bitswitch.nn.model import QuantizedModel
from tests.deployment import decoders
from tests.harness.conftest import Asked

LINE, NEXT = "Is this a ", "dag"


def logs(decoder, text):
    """Return the log-probability of every byte of ``text`` but the first, [t - 1]."""
    ids = torch.tensor(list(text.encode()))
    rows = decoder.logits(ids[None, :-1])[0].double().log_softmax(-1)
    return rows.gather(1, ids[1:, None])[:, 0]


@torch.no_grad()
def test_continuations_begin_with_their_space(decoder):
    for bits in decoder.bitset:
        with decoder.at(bits):
            found = Network(decoder, 4).loglikelihood([Asked((LINE, NEXT)), Asked(("", "dag"))])
            every = logs(decoder, LINE + NEXT)
            first = logs(decoder, "\ndag")
        assert found[0][0] == pytest.approx(every[-4:].sum().item(), abs=1e-5)  # " dag"
        assert found[1][0] == pytest.approx(first.sum().item(), abs=1e-5)


@torch.no_grad()
def test_texts_roll_through_the_context(decoder):
    text = "Out, out, brief candle!"  # 23 bytes, the context has 16
    with decoder.at(4):
        (found,) = Network(decoder, 3).loglikelihood_rolling([Asked((text,))])
        first, second = logs(decoder, "\n" + text[:16]), logs(decoder, text[6:])
    assert found == pytest.approx((first.sum() + second[-7:].sum()).item(), abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("bits", [8, 2])
def test_generation_keeps_keys_and_values(decoder, bits):
    options = {"max_gen_toks": 6, "until": []}
    network = Network(decoder, 1)
    with decoder.at(bits):
        (text,) = network.generate_until([Asked(("to be or not to be", options))])
        reader = CachedReader(decoder.net, decoder.logits, cached=False)
        prompt = torch.tensor(list(b"to be or not to be"[-10:]))
        anew = [one.token for one in generated(reader, prompt, 6, [0], most_likely)]
    assert decoder.decode(anew) == text
    assert network.truncated == 1


def test_generation_ends_where_it_is_told(decoder, monkeypatch):
    following = iter(b"the end. no more")
    monkeypatch.setattr("bitswitch.harness.network._pick", lambda _: lambda _: next(following))
    options = {"max_gen_toks": 12, "until": [" no", "."]}
    assert Network(decoder, 1).generate_until([Asked(("a", options))]) == ["the end"]


@torch.no_grad()
def test_a_deployed_file_says_what_its_run_says(text_run, decoder, tmp_path):
    run, results = text_run
    export(run, results / "runs", tmp_path / "model.safetensors")
    other = deployed(tmp_path / "model.safetensors", "cpu")
    assert (other.run, other.bitset) == (run.run_id, decoder.bitset)
    for bits in decoder.bitset:
        with decoder.at(bits), other.at(bits):
            (ours,) = Network(decoder, 1).loglikelihood([Asked((LINE, NEXT))])
            (theirs,) = Network(other, 1).loglikelihood([Asked((LINE, NEXT))])
        assert theirs[0] == pytest.approx(ours[0], abs=1e-3)
    other.check([8, dict.fromkeys(other.layers, 4)])
    with pytest.raises(BitWidthError, match="no bit-width 6"):
        other.check([8, 6])
    decoder.check([32])


def test_what_does_not_fit_is_said_before_anything_is_read(decoder, monkeypatch):
    monkeypatch.setattr(QuantizedModel, "forward", None)
    with pytest.raises(SpecError, match=r"continuation of 17 tokens .* of the network, 16\."):
        Network(decoder, 1).loglikelihood([Asked(("a", "b" * 17))])
    with pytest.raises(DatasetError, match=r"Token 116 at 0 of 'to beor' .*vocabulary has 100\."):
        Network(decoder._replace(outputs=100), 1).loglikelihood([Asked(("to be", "or"))])


def test_runs_that_read_no_text(tiny_run, tmp_path):
    with pytest.raises(SpecError, match="'digits' has other examples"):
        trained(tiny_run(), tmp_path, "cpu")
    with pytest.raises(CheckpointError):
        trained(decoders.run_of(), tmp_path, "cpu")
