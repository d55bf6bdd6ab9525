"""Writes test/tokenizer/fixtures/tokenizer-folders.json: ids from transformers for folders whose smaller files add or change tokens.

    python test/oracle/tokenizer_folders.py        # needs transformers 5.24, after tokenizer_steps.py
"""
import json
import logging
import os
import tempfile
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
from transformers import GPT2Tokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tokenizer/fixtures")
with open(os.path.join(FIXTURES, "tokenizer-steps.json"), encoding="utf-8") as file:
    BASE = json.load(file)["base"]
VOCAB = BASE["model"]["vocab"]
SIZE = len(VOCAB)
TEXTS = ["a <x> <y>the</s> <s>", "<x><y>  <x>  the <|endoftext|>", "THE the <z>", "e\u0301<x>\u00e9"]


def token(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def decoder(*tokens):
    return {"tokenizer_config.json": {"added_tokens_decoder": {str(i): t for i, t in tokens}}}


def with_added(*tokens, **changes):
    return {**BASE, "added_tokens": BASE["added_tokens"] + list(tokens), **changes}


def padding(content):
    return {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": content}


CASES = [
    ("nothing else", BASE, {}),
    ("added_tokens_decoder", BASE, decoder((SIZE, token("<x>")), (SIZE + 1, token("<y>", special=False)))),
    ("added_tokens_decoder out of order", BASE, decoder((SIZE + 1, token("<x>", rstrip=True)), (SIZE, token("<y>")))),
    ("added_tokens_decoder changes a token", BASE, decoder((0, token("<s>", lstrip=True)))),
    ("added_tokens_decoder makes a token ordinary", BASE, decoder((0, token("<s>", special=False)))),
    ("added_tokens_decoder takes one of the vocabulary", BASE, decoder((VOCAB["h"], token("h", special=False)))),
    ("added_tokens_decoder, normalized", {**BASE, "normalizer": {"type": "Lowercase"}}, decoder((SIZE, token("THE", special=False, normalized=True)))),
    ("added_tokens.json", BASE, {"added_tokens.json": {"<y>": SIZE + 1, "<x>": SIZE}}),
    ("added_tokens.json, some special", BASE, {"added_tokens.json": {"<x>": SIZE, "<y>": SIZE + 1}, "special_tokens_map.json": {"eos_token": "<x>", "pad_token": token("<y>")}}),
    ("added_tokens.json is older than the decoder", BASE, {**decoder((SIZE, token("<x>"))), "added_tokens.json": {"<y>": SIZE}}),
    ("special_tokens_map.json", BASE, {"special_tokens_map.json": {"eos_token": "</s>", "additional_special_tokens": ["<x>", "<y>"]}}),
    ("special_tokens_map.json wins", BASE, {"tokenizer_config.json": {"eos_token": "<y>"}, "special_tokens_map.json": {"eos_token": "<x>"}}),
    ("special_tokens_map.json is older than the decoder", BASE, {"tokenizer_config.json": {"eos_token": "<y>", "added_tokens_decoder": {"0": token("<s>")}}, "special_tokens_map.json": {"eos_token": "<x>"}}),
    ("names of new tokens", BASE, {"tokenizer_config.json": {"eos_token": "</s>", "additional_special_tokens": ["<x>"], "bos_token": "<s>", "add_bos_token": True}}),
    ("a name of the vocabulary", BASE, {"tokenizer_config.json": {"eos_token": "the"}}),
    ("names with flags", BASE, {"tokenizer_config.json": {"mask_token": {"__type": "AddedToken", **token("<x>", lstrip=True)}, "pad_token": {"__type": "AddedToken", "content": "<y>", "rstrip": True}}}),
    ("names of its own", BASE, {"tokenizer_config.json": {"image_token": "<x>", "extra_special_tokens": {"audio_token": "<y>"}}}),
    ("extra special tokens", BASE, {"tokenizer_config.json": {"extra_special_tokens": ["<x>", "<y>"], "unk_token": "<z>"}}),
    ("an ordinary token that is named", with_added({"id": SIZE, **token("<x>", special=False)}), {"tokenizer_config.json": {"eos_token": "<x>"}}),
    ("an ordinary token that is special elsewhere", with_added({"id": SIZE, **token("<x>", special=False)}), decoder((SIZE, token("<x>")))),
    ("extra tokens in both files", BASE, {"tokenizer_config.json": {"additional_special_tokens": ["<x>"]}, "special_tokens_map.json": {"additional_special_tokens": ["<y>"]}}),
    ("no extra tokens wins", BASE, {"tokenizer_config.json": {"extra_special_tokens": []}, "special_tokens_map.json": {"additional_special_tokens": ["<y>"]}}),
    ("extra tokens of both files", BASE, {"tokenizer_config.json": {"extra_special_tokens": ["<x>"]}, "special_tokens_map.json": {"extra_special_tokens": ["<y>", "<x>"]}}),
    ("extra tokens of the map alone", BASE, {"tokenizer_config.json": {"eos_token": "</s>"}, "special_tokens_map.json": {"additional_special_tokens": ["<y>"]}}),
    ("a token for padding", {**BASE, "padding": padding("<x>")}, {"tokenizer_config.json": {"eos_token": "</s>"}}),
    ("a token for padding beside another", {**BASE, "padding": padding("<x>")}, {"tokenizer_config.json": {"pad_token": "<y>"}}),
    ("a prefix before nothing", with_added({"id": SIZE, **token("<x>")}, normalizer={"type": "Strip", "strip_left": True, "strip_right": True}, pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}), {}),
    ("white space that another token took", with_added({"id": SIZE, **token(" ", lstrip=True, rstrip=True)}), {}),
    ("ids with a gap, in the vocabulary", with_added({"id": SIZE + 10, **token("<x>")}, model={**BASE["model"], "vocab": {**VOCAB, "<x>": SIZE + 10}}), {"tokenizer_config.json": {"eos_token": "<y>"}}),
]
PAIRS = [
    (GPT2Tokenizer, {**VOCAB, "<|endoftext|>": SIZE}, {"tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"}}),
    (GPT2Tokenizer, {**VOCAB, "<|endoftext|>": SIZE}, {"tokenizer_config.json": {"add_prefix_space": True}, "added_tokens.json": {"<x>": SIZE + 1}}),
    (GPT2Tokenizer, {**VOCAB, "<|endoftext|>": SIZE}, {"special_tokens_map.json": {"pad_token": "<x>", "eos_token": "<s>"}}),
    (Qwen2Tokenizer, {**VOCAB, "<|endoftext|>": SIZE}, {"tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {str(SIZE): token("<|endoftext|>"), str(SIZE + 1): token("<x>")}}}),
]


def read(cls, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))
        t = cls.from_pretrained(folder)
        ids = [t(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
        # Decoding of a token that is matched in normalized text differs between versions.
        decoded = None if t.backend_tokenizer.normalizer else [t.decode(each, skip_special_tokens=True) for each in ids]
        return {"ids": ids, "decoded": decoded, "names": t.special_tokens_map}


cases = []
for name, root, files in CASES:
    changed = {key: value for key, value in root.items() if value is not BASE.get(key) and key != "model"}
    extra = {key: i for key, i in root["model"]["vocab"].items() if key not in VOCAB}
    cases.append({"name": name, "changes": changed, "extra": extra, "files": files, **read(PreTrainedTokenizerFast, {"tokenizer.json": root, **files})})
merges = "#version: 0.2\n" + "\n".join(BASE["model"]["merges"]) + "\n"
for cls, vocab, files in PAIRS:
    cases.append({"name": cls.__name__ + " " + ", ".join(files), "vocab": {"<|endoftext|>": SIZE}, "files": files, **read(cls, {"vocab.json": vocab, "merges.txt": merges, **files})})
with open(os.path.join(FIXTURES, "tokenizer-folders.json"), "w", encoding="utf-8") as file:
    file.write('{"texts": ' + json.dumps(TEXTS, ensure_ascii=False) + ',\n"cases": [\n' + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]}\n")
print(len(cases), "folders")
