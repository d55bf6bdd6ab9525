"""Oracle for src/model/gguf/type-mixtures.ts: the tensor types that llama.cpp's `llama_model_quantize` gives to F32 files of each family,
in fixtures/gguf/mixtures.json.

    npm i --prefix HOME node-llama-cpp@3.22.1
    python3 -m venv VENV && VENV/bin/pip install gguf==0.19.0 numpy
    VENV/bin/python test/oracle/gguf_mixtures.py HOME
"""
import ctypes
import glob
import json
import pathlib
import sys
import tempfile

import gguf
import numpy as np

OUT = pathlib.Path(__file__).parent / "fixtures" / "gguf" / "mixtures.json"
FTYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_0": 2, "q4_1": 3, "q5_0": 8, "q5_1": 9, "q4_k_s": 14, "q4_k_m": 15,
          "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18}
VOCABULARY = 8
# family, layers, width, hidden, tied head
MODELS = [
    ("llama", 1, 256, 512, True), ("llama", 2, 256, 256, False), ("llama", 9, 256, 512, True), ("llama", 30, 256, 256, True),
    ("llama", 4, 576, 1536, True), ("llama", 8, 96, 256, False), ("llama", 2, 48, 80, False), ("llama", 80, 256, 256, False),
    ("llama", 16, 256, 288, True),
    ("gpt2", 12, 256, 1024, True), ("gpt2", 9, 256, 256, False), ("gpt2", 4, 96, 384, True), ("gpt2", 2, 48, 192, False),
    ("qwen3", 28, 256, 512, True), ("qwen3", 3, 256, 256, False), ("qwen3", 8, 128, 320, True), ("qwen3", 80, 256, 256, True),
]


def shapes(family, layers, width, hidden, tied):
    found = {"token_embd.weight": (VOCABULARY, width), "output_norm.weight": (width,)}
    if not tied:
        found["output.weight"] = (VOCABULARY, width)
    if family == "gpt2":
        found |= {"position_embd.weight": (16, width), "output_norm.bias": (width,)}
    kv = width // 2
    for i in range(layers):
        if family == "gpt2":
            part = {"attn_norm": (width,), "attn_qkv": (3 * width, width), "attn_output": (width, width), "ffn_norm": (width,),
                    "ffn_up": (hidden, width), "ffn_down": (width, hidden)}
            found |= {f"blk.{i}.{k}.bias": v[:1] for k, v in part.items()}
        else:
            part = {"attn_norm": (width,), "attn_q": (width, width), "attn_k": (kv, width), "attn_v": (kv, width), "attn_output": (width, width),
                    "ffn_norm": (width,), "ffn_gate": (hidden, width), "ffn_up": (hidden, width), "ffn_down": (width, hidden)}
            if family == "qwen3":
                part |= {"attn_q_norm": (width // 2,), "attn_k_norm": (width // 2,)}
        found |= {f"blk.{i}.{k}.weight": v for k, v in part.items()}
    return found


def write(path, family, layers, width, hidden, tied):
    w = gguf.GGUFWriter(path, family)
    w.add_context_length(16)
    w.add_embedding_length(width)
    w.add_block_count(layers)
    w.add_feed_forward_length(hidden)
    w.add_head_count(2)
    w.add_vocab_size(VOCABULARY)
    if family == "gpt2":
        w.add_layer_norm_eps(1e-5)
    else:
        w.add_head_count_kv(1)
        w.add_layer_norm_rms_eps(1e-5)
    for name, shape in shapes(family, layers, width, hidden, tied).items():
        w.add_tensor(name, np.zeros(shape, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main(home):
    [bins] = glob.glob(f"{home}/node_modules/@node-llama-cpp/linux-x64/bins/*/")
    for name in ("libggml-base.so", "libggml.v*.so", "libllama.v*.so"):
        [path] = glob.glob(bins + name)
        library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    library.llama_log_set(silent, None)
    # The function returns a structure by a hidden pointer: threads (i32), file type (i32), and others that stay as they are.
    parameters = ctypes.create_string_buffer(512)
    library.llama_model_quantize_default_params(parameters)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/f32.gguf", f"{folder}/out.gguf"
        for family, layers, width, hidden, tied in MODELS:
            write(source, family, layers, width, hidden, tied)
            files = {}
            for name, number in FTYPES.items():
                parameters[0:8] = np.array([1, number], np.int32).tobytes()
                status = library.llama_model_quantize(source.encode(), target.encode(), parameters)
                if status != 0:
                    raise RuntimeError(f"{family} {layers} {width} {name}: {status}")
                types = {}
                for tensor in gguf.GGUFReader(target).tensors:
                    types.setdefault(tensor.tensor_type.name, []).append(tensor.name)
                # Most tensors have the same few types, so the fixture names tensors without their layer where all agree.
                files[name] = compact(types, layers)
            found.append({"family": family, "layers": layers, "width": width, "hidden": hidden, "tiedHead": tied, "files": files})
    OUT.write_text("[\n" + ",\n".join(json.dumps(each) for each in found) + "\n]\n")


def compact(types, layers):
    """{type: [names]}, in which blk.*.x stands for the tensors x of all layers, and blk.0,2.x for those of layers 0 and 2."""
    result = {}
    for kind, names in types.items():
        parts = {}
        for name in names:
            block, _, rest = name.partition(".")
            layer, _, part = rest.partition(".")
            parts.setdefault(part if block == "blk" else name, []).append(layer if block == "blk" else None)
        result[kind] = [
            part if where == [None] else f"blk.{'*' if len(where) == layers else ','.join(sorted(where, key=int))}.{part}"
            for part, where in sorted(parts.items())
        ]
    return result


main(sys.argv[1])
