"""Counts the schemas of JSONSchemaBench that llguidance 1.9.1 handles, for comparison with `npm run bench grammar`:

    QUERN_SHARED=DIR python json_schema_census.py TOKENIZER_FOLDER

A schema is handled if it compiles, all its valid instances are allowed, and none of the invalid ones is.
"""
import collections, gzip, json, os, sys
import llguidance, llguidance.hf, transformers

tokenizer = llguidance.hf.from_tokenizer(transformers.AutoTokenizer.from_pretrained(sys.argv[1]))
path = os.path.join(os.environ["QUERN_SHARED"], "data", "json-schema", "schemas.jsonl.gz")
counts = collections.Counter()
for line in gzip.open(path):
    row = json.loads(line)
    counts["schemas"] += 1
    try:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(row["schema"]))
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        error = matcher.get_error()
    except Exception as exception:
        error = str(exception)
    if error:
        counts["refused"] += 1
        continue
    right = True
    for test in row["tests"]:
        tokens = tokenizer.tokenize_str(json.dumps(test["data"], ensure_ascii=False))
        matcher.reset()
        allowed = matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
        if allowed != test["valid"]:
            right = False
            counts["wrongly refused" if test["valid"] else "wrongly allowed"] += 1
    counts["handled"] += right
print(json.dumps(counts))
