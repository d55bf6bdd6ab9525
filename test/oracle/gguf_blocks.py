"""Oracle for src/model/gguf/blocks.ts and k-blocks.ts: blocks of each tensor type with their values by gguf-py, in fixtures/gguf/blocks.json.

    python3 -m venv VENV && VENV/bin/pip install gguf==0.19.0 numpy
    VENV/bin/python test/oracle/gguf_blocks.py

Quantised blocks are random bytes, so their scales are float16 numbers of every kind, subnormal ones too; those that give infinite
or very large values are drawn again. Values are base64 of little-endian float32.
"""
import base64
import json
import pathlib

import gguf
import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Q

OUT = pathlib.Path(__file__).parent / "fixtures" / "gguf" / "blocks.json"
ROWS, COLUMNS = 3, 256


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main():
    random = np.random.default_rng(24)
    blocks = {}
    for q in (Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K):
        values_of, bytes_of = GGML_QUANT_SIZES[q]
        rows, values = [], []
        while len(rows) < ROWS:
            row = random.integers(0, 256, (1, bytes_of * (COLUMNS // values_of)), dtype=np.uint8)
            with np.errstate(all="ignore"):
                decoded = gguf.dequantize(row, q)
            if np.isfinite(decoded).all() and np.abs(decoded).max() < 1e6:
                rows.append(row)
                values.append(decoded.astype(np.float32))
        blocks[q.name] = {"data": text(np.concatenate(rows)), "values": text(np.concatenate(values))}
    x = random.standard_normal((1, COLUMNS)).astype(np.float32)
    for q in (Q.F32, Q.F16, Q.BF16):
        data = gguf.quantize(x, q)
        blocks[q.name] = {"data": text(data), "values": text(gguf.dequantize(data, q).astype(np.float32))}
    OUT.write_text(json.dumps(blocks, indent=1) + "\n")


main()
