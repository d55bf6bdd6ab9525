"""Oracle for src/model/gguf and src/tokenizer/formats/gguf.ts: tiny models as GGUF files, with the results of other programs.

    python3 -m venv VENV && VENV/bin/pip install torch==2.13.0 transformers==5.24.0 gguf==0.19.0 numpy
    VENV/bin/python test/oracle/gguf_fixtures.py VOCABULARIES                 # *.gguf and expected.json in fixtures/gguf
    node test/oracle/gguf_llamacpp.mjs NODE_LLAMA_CPP VOCABULARIES            # llamacpp.json there

Blocks of each tensor type come from gguf_blocks.py. VOCABULARIES receives one file per pre-tokenizer name, with
which llama.cpp encodes TEXTS. gguf-py writes the files with the permutations of llama.cpp's convert_hf_to_gguf.py. The logits
are those of transformers in float64, with weights dequantized by gguf-py.
"""
import json
import math
import pathlib
import sys

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

OUT = pathlib.Path(__file__).parent / "fixtures" / "gguf"
TEXTS = [
    "The mill stood by the river for 1234567 years, and didn't stop; it's still there!",
    "  two  spaces\tand a tab\n\n\nthree lines\r\nx = [1, 22, 333]; // 4444.5",
    "Das Mühlrad drehte sich. 水車は川のそばにある。 Привет, мир! नमस्ते",
    "HELLO World, I'LL we'Re camelCaseWords ABCdef $3.50 <b>don't</b> e-mail@example.org",
    "e\u0301t\u00e9 \u2026 \u201cquoted\u201d 100% a+b=c ^_^ `code` \U0001f600\U0001f600",
]


def byte_level():
    """A vocabulary whose merges cross every boundary at which some pre-tokenizer splits, so that each split shows."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tok.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(TEXTS * 3, trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet, show_progress=False))
    j = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(j["vocab"].items(), key=lambda kv: kv[1])]
    return tokens, [" ".join(m) if isinstance(m, list) else m for m in j["merges"]]


PRE = ["default", "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "gigachat", "exaone4", "smollm", "starcoder", "refact", "command-r",
       "codeshell", "exaone", "minerva-7b", "llama-bpe", "falcon3", "pixtral", "lfm2", "dbrx", "smaug-bpe", "glm4", "chatglm-bpe", "qwen2",
       "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "qwen35", "gpt-4o", "llama4", "tekken", "seed-coder", "bailingmoe",
       "deepseek-coder", "deepseek-v3", "hunyuan-dense", "falcon"]


def vocabularies(folder, tokens, merges):
    folder.mkdir(parents=True, exist_ok=True)
    for name in PRE:
        w = gguf.GGUFWriter(folder / f"{name}.gguf", "llama")
        sizes(w, None, 1, 1, 8, 64, 8, 1)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_rope_dimension_count(8)
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(name)
        w.add_token_list(tokens + ["<|end|>"])
        w.add_token_types([1] * len(tokens) + [3])
        w.add_token_merges(merges)
        w.add_bos_token_id(len(tokens))
        w.add_eos_token_id(len(tokens))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()


def interleave(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


ROTARY = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
          "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
          "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
          "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
GPT2 = {"transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
        "lm_head": "output", "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}


def gguf_name(names, key):
    part, kind = key.rsplit(".", 1)
    p = part.split(".")
    if p[0] in ("model", "transformer") and p[1] in ("layers", "h"):
        return f"blk.{p[2]}.{names['.'.join(p[3:])]}.{kind}"
    return f"{names[part]}.{kind}"


def write(name, arch, model, heads, kv_heads, fill, type_of, tokens, types, merges, skip=()):
    """Writes NAME.gguf and loads the quantized weights back into `model`."""
    w = gguf.GGUFWriter(OUT / f"{name}.gguf", arch)
    fill(w)
    w.add_tokenizer_model("gpt2")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    names = GPT2 if arch == "gpt2" else ROTARY
    state = model.state_dict()
    for key, value in state.items():
        if key == "lm_head.weight" and model.config.tie_word_embeddings and arch != "gpt2":
            continue
        a = value.float().numpy()
        transposed = arch == "gpt2" and a.ndim == 2 and any(key.endswith(f"{p}.weight") for p in ("c_attn", "c_proj", "c_fc"))
        if transposed:
            a = a.T
        permuted = {"self_attn.q_proj": heads, "self_attn.k_proj": kv_heads}.get(".".join(key.split(".")[-3:-1])) if arch == "llama" else None
        stored = np.ascontiguousarray(interleave(a, permuted) if permuted else a)
        target = gguf_name(names, key)
        if target in skip:
            assert not a.any()
            continue
        q = Q.F32 if a.ndim == 1 else type_of(target)
        data = gguf.quantize(stored, q)
        w.add_tensor(target, data, raw_dtype=q)
        back = gguf.dequantize(data, q).reshape(stored.shape).astype(np.float32)
        if permuted:  # the inverse: (heads, D/2, 2, …) → (heads, 2, D/2, …)
            back = back.reshape(permuted, back.shape[0] // permuted // 2, 2, *back.shape[1:]).swapaxes(1, 2).reshape(back.shape)
        state[key] = torch.from_numpy(np.ascontiguousarray(back.T if transposed else back))
    model.load_state_dict(state)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def sizes(w, cfg, heads, kv_heads, hidden, sequence, width, layers):
    w.add_context_length(sequence)
    w.add_embedding_length(width)
    w.add_block_count(layers)
    w.add_feed_forward_length(hidden)
    w.add_head_count(heads)
    if kv_heads != heads:
        w.add_head_count_kv(kv_heads)


def large(model, seed):
    """Weights large enough for peaked attention; otherwise a wrong rotation would pass."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.ndim == 1:
                p.copy_((0 if key.endswith("bias") else 1) + 0.2 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(torch.randn(p.shape, generator=g) * (1.2 if "norm" not in key and ("q_proj" in key or "k_proj" in key) else 0.25))


def expected(model, ids):
    model = model.double().eval()
    x = torch.tensor([ids])
    with torch.no_grad():
        logits = model(x).logits[0]
        moved = model(x, position_ids=torch.arange(len(ids))[None] * 2).logits[0]
        assert logits.std() >= 0.5, logits.std()
        assert (moved - logits)[-1].abs().max() > 0.05, "positions do not matter"
        out = x
        for _ in range(24):
            out = torch.cat([out, model(out).logits[:, -1:].argmax(-1)], 1)
    return {"prompt": ids, "logits": [round(v, 7) for v in logits[-1].tolist()], "greedy": out[0, len(ids):].tolist()}


def main(folder):
    OUT.mkdir(parents=True, exist_ok=True)
    base, merges = byte_level()
    vocabularies(pathlib.Path(folder), base, merges)
    result = {"texts": TEXTS, "tokens": base, "merges": merges, "models": {}}

    # A chat model: special tokens after the vocabulary, grouped queries, heads wider than width / heads, biases of q, k and v,
    # Llama 3's rotations as factors, an untied head, and every weight type.
    tokens = base + ["<|begin|>", "<|end|>", "<|turn|>", "<tool>"]
    types = [1] * len(base) + [3, 3, 3, 4]
    scaling = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
    cfg = LlamaConfig(vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                      num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-5, attention_bias=True,
                      tie_word_embeddings=False, rope_parameters=dict(scaling, rope_theta=100.0))
    m = LlamaForCausalLM(cfg)
    large(m, 1)
    with torch.no_grad():
        for layer in m.model.layers:
            layer.self_attn.o_proj.bias.zero_()

    def fill(w):
        sizes(w, cfg, 4, 2, 64, 256, 32, 2)
        w.add_key_length(16)
        w.add_value_length(16)
        w.add_rope_dimension_count(16)
        w.add_rope_freq_base(100.0)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_vocab_size(len(tokens))
        w.add_tokenizer_pre("llama-bpe")
        w.add_bos_token_id(len(base))
        w.add_eos_token_id(len(base) + 1)
        w.add_eot_token_id(len(base) + 2)
        w.add_chat_template("{{ bos_token }}{% for m in messages %}<|turn|>{{ m['role'] }}: {{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|turn|>assistant: {% endif %}")
        factors = []
        for f in 1.0 / (100.0 ** (torch.arange(0, 16, 2).float() / 16)):
            turns = 64 * f / (2 * math.pi)
            s = min(1, max(0, (turns - 1) / 3))
            factors.append(float(1 / ((1 - s) / 4 + s)))
        w.add_tensor("rope_freqs.weight", np.array(factors, np.float32))

    kinds = {"attn_q": Q.Q8_0, "attn_k": Q.Q4_0, "attn_v": Q.Q4_1, "attn_output": Q.BF16, "ffn_gate": Q.Q4_0, "ffn_up": Q.Q4_1,
             "ffn_down": Q.F32, "token_embd": Q.F16, "output": Q.Q8_0}
    write("llama", "llama", m, 4, 2, fill, lambda t: kinds[t.split(".")[-2]], tokens, types, merges,
          skip=[f"blk.{i}.attn_output.bias" for i in range(2)])
    result["models"]["llama"] = expected(m, [300, 5, 41, 377, 60, 301, 302, 8, 9, 120, 355, 12])

    # GPT-2 with gaps in the ids, the end-of-text token first, and the embedding stored again as the head.
    tokens = ["<|endoftext|>"] + base + ["[PAD381]", "<extra>"]
    types = [3] + [1] * len(base) + [5, 4]
    cfg = GPT2Config(vocab_size=len(tokens), n_embd=32, n_inner=48, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=0,
                     attn_pdrop=0, embd_pdrop=0, resid_pdrop=0)
    m = GPT2LMHeadModel(cfg)
    large(m, 2)

    def fill(w):
        sizes(w, cfg, 4, 4, 48, 64, 32, 2)
        w.add_layer_norm_eps(1e-5)
        w.add_tokenizer_pre("gpt-2")
        w.add_bos_token_id(0)
        w.add_eos_token_id(0)

    write("gpt2", "gpt2", m, 4, 4, fill, lambda t: Q.F16, tokens, types, merges)
    result["models"]["gpt2"] = expected(m, [0, 5, 41, 377, 60, 301, 302, 8, 9, 120, 355, 12])

    # Qwen3: norms of queries and keys, unpermuted rows, a tied head, YaRN, padding rows after the vocabulary.
    tokens = base + ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"[PAD{i}]" for i in range(len(base) + 3, len(base) + 8)]
    types = [1] * len(base) + [3] * 3 + [5] * 5
    cfg = Qwen3Config(vocab_size=len(tokens), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                      num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=True,
                      rope_parameters=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64, rope_theta=1000.0))
    m = Qwen3ForCausalLM(cfg)
    large(m, 3)

    def fill(w):
        sizes(w, cfg, 4, 2, 48, 256, 32, 2)
        w.add_key_length(16)
        w.add_value_length(16)
        w.add_rope_freq_base(1000.0)
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(4.0)
        w.add_rope_scaling_orig_ctx_len(64)
        w.add_layer_norm_rms_eps(1e-6)
        w.add_tokenizer_pre("qwen2")
        w.add_bos_token_id(len(base))
        w.add_eos_token_id(len(base) + 2)
        w.add_pad_token_id(len(base))
        w.add_add_bos_token(False)

    write("qwen3", "qwen3", m, 4, 2, fill, lambda t: Q.F16 if "ffn" in t else Q.BF16, tokens, types, merges)
    result["models"]["qwen3"] = expected(m, [300, 5, 41, 377, 60, 301, 302, 8, 9, 120, 355, 12])
    (OUT / "expected.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")


main(sys.argv[1])
