"""Rows of files as Hugging Face's datasets reads them: python datasets_rows.py test/fixtures/eval/rows (datasets 5.2.0)."""
import json, pathlib, sys, tempfile
import datasets
from datasets import ClassLabel, Features, List, Sequence, Value

out = pathlib.Path(sys.argv[1])
features = Features({
    "s": Value("string"), "x": Value("float64"), "y": Value("float32"), "i": Value("int64"), "b": Value("bool"),
    "l": List(Value("float64")), "d": {"a": Value("float32"), "t": Value("string")},
    "sq": Sequence({"q": Value("string"), "v": Value("float64")}), "lab": ClassLabel(names=["n", "y"]),
    "ls": List({"k": Value("int32"), "w": Value("float64")}), "u": Value("uint8"),
})
rows = [
    {"s": "é", "x": 2.0, "y": 0.1, "i": 2**60, "b": True, "l": [1.0, 2.5], "d": {"a": 3.0, "t": "u"},
     "sq": {"q": ["a", "b"], "v": [1.0, 0.5]}, "lab": 1, "ls": [{"k": 1, "w": 4.0}], "u": 200},
    {"s": None, "x": 1e300, "y": -0.0, "i": -5, "b": None, "l": [], "d": {"a": None, "t": None},
     "sq": {"q": [], "v": []}, "lab": 0, "ls": [], "u": 0},
]
datasets.Dataset.from_list(rows, features=features).to_parquet(out / "types.parquet")
files = {
    "plain.csv": 'i,f,g,s,q,m,n,big,e,d\n1,1,1.0,a,"x, ""y""\nz",1,,12345678901234567890,1e3,2020-01-01\n2,2.5,2.0,NA,5" pipe,,,1,2,\n',
    "bool.csv": "b,c,t\nTrue,true,x y \nFalse,,007\n",
    "mixed.jsonl": '{"a": 1, "n": {"x": 1}, "l": [1, 2.5], "z": null}\n{"a": 2.0, "n": {"x": 2.5}, "l": [], "b": "t"}\n',
    "list.json": '[{"a": 1, "o": [{"k": "v"}]}, {"a": null, "o": []}]',
    "names.tsv": "1\tx\n2\ty\n",
}
options = {"names.tsv": {"column_names": ["a", "b"], "sep": "\t"}}
expected = {"types.parquet": [row for row in datasets.load_dataset("parquet", data_files=str(out / "types.parquet"))["train"]]}
for name, text in files.items():
    (out / name).write_text(text, encoding="utf-8", newline="")
    with tempfile.TemporaryDirectory() as cache:
        kind = "json" if ".json" in name else "csv"
        read = datasets.load_dataset(kind, data_files=str(out / name), cache_dir=cache, **options.get(name, {}))
        expected[name] = [row for row in read["train"]]
        del read
(out / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
