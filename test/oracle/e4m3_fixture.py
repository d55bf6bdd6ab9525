"""Writes fixtures/e4m3.json: the values of all bytes of float8_e4m3fn, and floats with the byte that they are rounded to.

pip install ml_dtypes numpy; python test/oracle/e4m3_fixture.py
"""
import json
from pathlib import Path

import ml_dtypes
import numpy as np

E4M3 = ml_dtypes.float8_e4m3fn

bytes_ = np.arange(256, dtype=np.uint8)
values = bytes_.view(E4M3).astype(np.float32)
positive = np.sort(values[np.isfinite(values) & (values >= 0)])
middles = (positive[1:] + positive[:-1]) / 2  # exact: ties
near = np.concatenate([np.nextafter(middles, np.float32(0)), middles, np.nextafter(middles, np.float32(1e9))])
rng = np.random.default_rng(0)
drawn = np.exp2(rng.uniform(-12, 8.7, 200)).astype(np.float32)
some = np.concatenate([near, drawn]).astype(np.float32)
some = np.concatenate([some, -some])
out = {
    # NaN has no JSON: null
    "values": [None if np.isnan(v) else float(v) for v in values],
    "floats": [int(v) for v in some.view(np.uint32)],
    "bytes": [int(b) for b in some.astype(E4M3).view(np.uint8)],
}
path = Path(__file__).parent / "fixtures" / "e4m3.json"
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
print(path, len(some), path.stat().st_size)
