"""Texts as windows, on texts so short that every window can be written down."""

import json
import lzma

import numpy as np
import pytest
import torch

from bitswitch.contracts.streams import Stream
from bitswitch.data import shakespeare, text
from bitswitch.data.text import SPLITS, Windows
from bitswitch.data.tokenization import TokenizerFile
from bitswitch.errors import DatasetError, SpecError
from bitswitch.plugins import registry
from bitswitch.runtime import cache
from bitswitch.tasks.language_model import Protocol

CPU = torch.device("cpu")
EPOCH = Stream("training", 0)


def windows(kind, length, context=4, stride=4, bos="none", token=None, epoch=None):
    protocol = Protocol("bytes", kind, context, stride, "byte", "x", bos)
    tokens = dict.fromkeys(SPLITS, np.arange(10, 10 + length, dtype=np.uint8))
    return Windows(tokens, protocol, CPU, epoch, token)


def shown(opened, split="test"):
    (batch,) = opened.batches(split, 100)
    assert len(batch.inputs) == opened.size(split)
    return list(zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True))


def counted(opened):
    return [target for _, targets in shown(opened) for target in targets if target != -100]


@pytest.mark.parametrize("length", [6, 9, 10, 12, 13])
@pytest.mark.parametrize(("kind", "stride"), [("shifted", 4), ("strided", 1), ("strided", 3)])
def test_every_token_but_the_first_is_predicted_once(kind, stride, length):
    assert counted(windows(kind, length, stride=stride)) == list(range(11, 10 + length))


def test_shifted_windows():
    assert shown(windows("shifted", 7)) == [
        ([10, 11, 12, 13], [11, 12, 13, 14]),
        ([14, 15, 16, 16], [15, 16, -100, -100]),
    ]


def test_disjoint_windows_drop_the_tail_and_predict_one_less():
    assert shown(windows("disjoint", 11)) == [
        ([10, 11, 12, 13], [11, 12, 13, -100]),
        ([14, 15, 16, 17], [15, 16, 17, -100]),
    ]


def test_strided_windows_count_what_none_before_predicted():
    assert shown(windows("strided", 8, stride=2)) == [
        ([10, 11, 12, 13], [11, 12, 13, 14]),
        ([12, 13, 14, 15], [-100, -100, 15, 16]),
        ([14, 15, 16, 17], [-100, -100, 17, -100]),
    ]


def test_a_beginning_before_the_text_or_before_every_window():
    once = windows("shifted", 5, bos="once", token=1)
    assert shown(once) == [
        ([1, 10, 11, 12], [10, 11, 12, 13]),
        ([13, 14, 14, 14], [14] + [-100] * 3),
    ]
    each = windows("shifted", 6, bos="window", token=1)
    assert shown(each) == [
        ([1, 10, 11, 12], [10, 11, 12, 13]),
        ([1, 14, 15, 15], [14, 15, -100, -100]),
    ]


def epoch(opened, seed=0, skip=0, stream=EPOCH):
    return list(opened.train_batches(2, stream, seed, skip))


def test_an_epoch_is_shuffled_from_a_random_offset_and_shares_no_token():
    opened = windows("shifted", 60)
    assert opened.size("train") == 14
    offsets = set()
    for seed in range(20):
        found = epoch(opened, seed)
        inputs = torch.cat([batch.inputs for batch in found])
        assert len(inputs) == 14
        torch.testing.assert_close(torch.cat([b.targets for b in found]), inputs + 1)
        assert len(inputs.unique()) == inputs.numel()
        assert inputs[:, 0].tolist() != sorted(inputs[:, 0].tolist())
        offsets.add(int(inputs.min()) - 10)
    assert offsets == {0, 1, 2, 3}


def test_batches_depend_on_seed_and_stream_alone_and_resume_anywhere():
    opened = windows("shifted", 60)
    whole = epoch(opened, 3)
    for skip in (1, 6):
        for one, other in zip(epoch(opened, 3, skip), whole[skip:], strict=True):
            assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    for different in (epoch(opened, 4), epoch(opened, 3, stream=Stream("training", 1))):
        assert not torch.equal(different[0].inputs, whole[0].inputs)


def test_an_epoch_may_take_some_windows_alone():
    opened = windows("shifted", 60, epoch=6)
    assert opened.size("train") == 6
    first, second = (epoch(opened, stream=Stream("training", number)) for number in (0, 1))
    assert len(first) == len(second) == 3
    assert not torch.equal(first[0].inputs, second[0].inputs)


# shakespeare


@pytest.fixture(scope="module")
def plays():
    return registry.create("datasets", "shakespeare", {})


def test_the_splits_share_no_play():
    texts = {split: bytes(text).decode("ascii") for split, text in shakespeare.plays().items()}
    assert {split: len(text) for split, text in texts.items()} == shakespeare.LENGTHS
    assert texts["held_out"].startswith("Julius Caesar\n\nACT I")
    assert texts["test"].startswith("Macbeth\n\nACT I")
    assert "\n\nTwelfth Night\n\nACT I" in texts["test"]
    assert not any(name in texts["train"] for name in ("MACBETH", "CASSIUS", "OLIVIA"))
    assert not set("_*#\\") & set("".join(texts.values()))


def test_what_letter_frequencies_reach_is_known_without_the_data(plays):
    assert plays.sizes() == {"train": 15_624, "held_out": 512, "test": 1024}
    assert plays.task.chance(plays.outputs) == pytest.approx(27.99, abs=0.01)


def test_it_is_unpacked_once_and_damage_is_found(plays, tmp_path):
    with pytest.raises(DatasetError, match="bitswitch data prepare shakespeare"):
        plays.open(tmp_path, CPU)
    plays.prepare(tmp_path)
    opened = plays.open(tmp_path, CPU)
    batch = next(iter(opened.batches("test", 3)))
    assert bytes(batch.inputs[0].tolist()).startswith(b"Macbeth")
    assert torch.equal(batch.inputs[0, 1:], batch.targets[0, :-1])
    plays.path(tmp_path).write_bytes(b"x")
    with pytest.raises(DatasetError, match="Damaged"):
        plays.check(tmp_path)
    plays.prepare(tmp_path)
    assert plays.check(tmp_path)["train"] == "1000000"


def test_a_damaged_installation_is_said(monkeypatch, tmp_path):
    shakespeare.plays.cache_clear()
    path = tmp_path / "x.xz"
    monkeypatch.setattr(shakespeare, "asset", lambda *parts: path)
    for content in (b"x", lzma.compress(b"x")):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="install bitswitch again"):
            shakespeare.plays()


# text-files


@pytest.fixture
def texts(tmp_path):
    for split in SPLITS:
        (tmp_path / split).write_text(f"a text for {split}, and more of it, ümlaut\n")
    return tmp_path


def text_files(folder, **options):
    paths = {split: str(folder / split) for split in SPLITS}
    return registry.create("datasets", "text-files", {"context": 8, **paths, **options})


def test_text_files_are_bytes_joined_by_two_line_feeds(texts):
    dataset = text_files(texts, test=[str(texts / "test"), str(texts / "train")])
    dataset.prepare(texts)
    (batch,) = dataset.open(texts, CPU).batches("test", 100)
    whole = [*batch.inputs[0, :1].tolist(), *batch.targets[batch.targets != -100].tolist()]
    expected = b"\n\n".join((texts / name).read_bytes() for name in ("test", "train"))
    assert bytes(whole) == expected
    assert dataset.sizes()["test"] == len(batch.inputs)


def test_text_that_has_changed_is_prepared_again(texts):
    text_files(texts).prepare(texts)
    (texts / "train").write_text("another text, long enough to have windows\n")
    with pytest.raises(DatasetError, match="bitswitch data prepare text-files"):
        text_files(texts).open(texts, CPU)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Text is empty"),
        (b" \n", "Text is empty"),
        (b"ab\xff cd", r"not UTF-8 \(byte 0xff at 2\)"),
        (None, "Text not found"),
        (b"too short", "context 9 .* do not fit into the test text"),
    ],
)
def test_bad_texts_are_one_message_before_any_computing(texts, content, message):
    path = texts / "test"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises((DatasetError, SpecError), match=message) as caught:
        text_files(texts, context=9).sizes()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary": 200}, "smaller than that of the tokenizer bytes, 256"),
        ({"windows": "strided"}, "stride belongs to"),
        ({"stride": 4}, "stride belongs to"),
        ({"windows": "strided", "stride": 8}, "must be less than context 8"),
        ({"bos": "once"}, "no token '<s>'"),
        ({"tokenizer": "none.json"}, "Tokenizer not found|not installed"),
    ],
)
def test_options_that_do_not_fit_are_refused(texts, options, message):
    with pytest.raises((DatasetError, SpecError), match=message):
        text_files(texts, **options)


@pytest.fixture
def tokenizer(texts):
    """Return the path of a tokenizer of words, as a stranger would have one."""
    pytest.importorskip("tokenizers")
    words = ["a", "text", "for", "train", "held_out", "test", ",", "and", "more", "of", "it"]
    tokens = ["<s>", "[UNK]", *words]
    made = {
        "version": "1.0",
        "added_tokens": [
            {"id": 0, "content": "<s>", "special": True}
            | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        ],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {
            "type": "WordLevel",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "unk_token": "[UNK]",
        },
    }
    path = texts / "tokenizer.json"
    path.write_text(json.dumps(made))
    return path


def test_a_tokenizer_makes_tokens_of_more_than_one_byte(texts, tokenizer):
    dataset = text_files(texts, tokenizer=str(tokenizer), bos="window", context=4, vocabulary=20)
    assert dataset.outputs == 20
    dataset.prepare(texts)
    batch = next(iter(dataset.open(texts, CPU).batches("test", 1)))
    assert batch.inputs.tolist() == [[0, 2, 3, 4]]
    assert batch.targets.tolist() == [[2, 3, 4, 7]]
    sizes = dataset.task.bytes_of
    assert sizes[batch.targets].tolist() == [[1, 4, 3, 4]]
    assert (sizes[0], len(sizes)) == (0, 20)
    assert dataset.task.headline.title == "Perplexity per token"
    assert "tokenizer.json" in dataset.task.note
    assert "bos window" in dataset.task.note


def test_text_is_prepared_again_for_another_tokenizer(texts, tokenizer):
    def prepared():
        dataset = text_files(texts, tokenizer=str(tokenizer), context=4)
        dataset.prepare(texts)
        return next(dataset.open(texts, CPU).batches("test", 1)).inputs.tolist()

    assert prepared() == [[2, 3, 4, 7]]
    made = json.loads(tokenizer.read_text())
    made["model"]["vocab"] |= {"a": 3, "text": 2}
    tokenizer.write_text(json.dumps(made))
    assert prepared() == [[3, 2, 4, 7]]


def test_a_damaged_tokenizer_is_said(tokenizer):
    tokenizer.write_text("{}")
    with pytest.raises(DatasetError, match="Damaged tokenizer"):
        TokenizerFile(tokenizer)


SIZES = {"train": 3, "held_out": 2, "test": 4}


def planned(folder, **options):
    return text_files(folder, tokenizer=str(folder / "t.json"), vocabulary=300, **options)


def test_with_sizes_and_a_vocabulary_no_file_is_needed(texts):
    (texts / "test").unlink()
    dataset = planned(texts, sizes=SIZES, bos="window")
    assert dataset.missing() == [str(texts / "t.json"), str(texts / "test")]
    assert dataset.sizes() == SIZES
    assert dataset.outputs == dataset.task.chance(dataset.outputs) == 300
    assert f"tokenizer {texts.name}/t.json; bos window" in dataset.task.note
    with pytest.raises(DatasetError, match=r"not found \(and 1 more\): .*t\.json"):
        dataset.prepare(texts)
    with pytest.raises((DatasetError, SpecError), match="Tokenizer"):
        planned(texts)


def test_sizes_are_those_that_the_files_give(texts):
    dataset = text_files(texts, sizes=SIZES)
    dataset.prepare(texts)
    opened = dataset.open(texts, CPU)
    assert {split: opened.size(split) for split in SPLITS} == dataset.sizes() == SIZES
    whole = text_files(texts)
    whole.prepare(texts)
    (first,), (every,) = (one.batches("test", 100) for one in (opened, whole.open(texts, CPU)))
    assert torch.equal(first.inputs, every.inputs[:4])
    assert len(every.inputs) > 4
    assert dataset.windows_of(torch.arange(200)).size("test") == 25


def test_a_text_with_less_than_its_size_is_refused(texts):
    with pytest.raises(DatasetError, match=r"test text, .*test, has 5 windows.*says 9.\n.*to 5 or"):
        text_files(texts, sizes=SIZES | {"test": 9}).prepare(texts)
    with pytest.raises(SpecError, match=r"epoch_windows is sizes\.train"):
        text_files(texts, sizes=SIZES, epoch_windows=3)


def test_frequencies_of_tokens_are_counted_once(texts, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", texts / "cache")
    expected = text_files(texts).task.unigram
    monkeypatch.setattr(text, "unigram_perplexity", lambda *_: 0.0)
    assert text_files(texts).task.unigram == expected
    (texts / "train").write_text("another text, long enough to have windows\n")
    assert text_files(texts).task.unigram == 0.0
