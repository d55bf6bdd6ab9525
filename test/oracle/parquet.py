"""Writes test/oracle/fixtures/parquet: one table in Parquet's encodings, codecs and page versions, by pyarrow and polars,
and its rows as JSON. Run from the repository's root: pip install pyarrow polars; python test/oracle/parquet.py"""
import base64, datetime, decimal, json, os, random
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

random.seed(3)
folder = "test/oracle/fixtures/parquet"
os.makedirs(folder, exist_ok=True)
n = 150
words = ["Wörter", "alpha", "beta", "日本", "gamma", "delta", "x"]
sentence = lambda: " ".join(random.choice(words) for _ in range(random.randint(1, 12)))
base = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
at = lambda i: base + datetime.timedelta(seconds=i)
table = pa.table({
    "text": pa.array([sentence() if i % 7 else None for i in range(n)]),
    "id": pa.array([1234567890123456789 + i for i in range(n)], pa.int64()),
    "unsigned": pa.array([2**64 - 1 - i for i in range(n)], pa.uint64()),
    "small": pa.array([i % 5 - 2 for i in range(n)], pa.int32()),
    "byte": pa.array([i % 256 for i in range(n)], pa.uint8()),
    "half": pa.array([float(i % 100) / 4 for i in range(n)], pa.float16()),
    "double": pa.array([None if i % 11 == 0 else i / 7 for i in range(n)]),
    "flag": pa.array([None if i % 13 == 0 else i % 3 == 0 for i in range(n)]),
    "binary": pa.array([bytes([i % 256, 255, 0]) for i in range(n)], pa.binary()),
    "fixed": pa.array([bytes([i % 256, 255]) for i in range(n)], pa.binary(2)),
    "day": pa.array([datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in range(n)]),
    "moment": pa.array([at(i) for i in range(n)], pa.timestamp("us")),
    "price": pa.array([decimal.Decimal(i * i - 100) / 100 for i in range(n)], pa.decimal128(20, 2)),
    "list": pa.array([None if i % 5 == 0 else [random.choice(words) for _ in range(i % 4)] for i in range(n)]),
    "lists": pa.array([[[j for j in range(k)] for k in range(i % 4)] for i in range(n)], pa.list_(pa.list_(pa.int32()))),
    "group": pa.array([None if i % 6 == 0 else {"a": i, "b": None if i % 4 == 0 else sentence(),
                       "c": [{"k": 1, "v": str(i)}] * (i % 3)} for i in range(n)]),
    "map": pa.array([[(f"k{j}", j) for j in range(i % 3)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
    "category": pa.array([words[i % 7] for i in range(n)]).dictionary_encode(),
    "same": pa.array(["same"] * n),
})

def plain(value):
    if isinstance(value, bytes): return base64.b64encode(value).decode()
    if value is None or isinstance(value, (bool, str, float)): return value
    if isinstance(value, int): return value if abs(value) < 2**53 else str(value)
    if isinstance(value, datetime.datetime): return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, datetime.date): return value.isoformat() + "T00:00:00.000Z"
    if isinstance(value, decimal.Decimal): return float(value)
    if isinstance(value, list): return [plain(each) for each in value]
    return {key: plain(each) for key, each in value.items()}

rows = table.to_pylist()
for row in rows: row["map"] = dict(row["map"])
json.dump([plain(row) for row in rows], open(f"{folder}/rows.json", "w"), ensure_ascii=False)

write = lambda name, **options: pq.write_table(table, f"{folder}/{name}.parquet", row_group_size=90, data_page_size=700, write_batch_size=20, **options)
write("plain", compression="NONE", use_dictionary=False, write_page_checksum=True)
write("snappy", compression="SNAPPY")
write("gzip-v2", compression="GZIP", data_page_version="2.0")
write("brotli", compression="BROTLI", use_dictionary=False, data_page_version="2.0")
write("zstd", compression="ZSTD", write_page_checksum=True)
write("lz4", compression="LZ4", use_dictionary=False)
write("deltas", compression="NONE", data_page_version="2.0", use_dictionary=False, column_encoding={
    "text": "DELTA_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED", "small": "DELTA_BINARY_PACKED", "unsigned": "DELTA_BINARY_PACKED",
    "same": "DELTA_LENGTH_BYTE_ARRAY", "double": "BYTE_STREAM_SPLIT", "fixed": "DELTA_BYTE_ARRAY", "flag": "RLE"})
write("int96", compression="SNAPPY", use_deprecated_int96_timestamps=True)
pl.from_arrow(table.drop(["map", "price", "half", "category", "same"])).write_parquet(f"{folder}/polars.parquet", row_group_size=70)
pq.write_table(pa.table({"text": pa.array([b"hello", b"world"], pa.binary())}), f"{folder}/binary.parquet")
