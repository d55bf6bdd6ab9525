"""Scores texts with a reward model of Quern by transformers, or by PEFT for an adapter, and compares with Quern's own scores
(torch 2.13, transformers 5.24, peft 0.21):

    node --input-type=module -e '
      import { openRewardModel } from "quern/align";
      const model = await openRewardModel("RUN", { dtype: "fp32" });
      const texts = ["2+2=4", [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }]];
      console.log(JSON.stringify({ path: model.path, texts, scores: await model.score(texts) }));
      await model.dispose();
    ' | python reward_scores.py
"""
import json, os, sys
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

given = json.load(sys.stdin)
path = given["path"]
tokenizer = AutoTokenizer.from_pretrained(path)
adapter = os.path.join(path, "adapter_config.json")
if os.path.exists(adapter):
    base = AutoModelForSequenceClassification.from_pretrained(json.load(open(adapter))["base_model_name_or_path"], num_labels=1)
    model = PeftModel.from_pretrained(base, path)
    trained = [name for name, value in model.named_parameters() if "score" in name]
    print("head:", trained)
else:
    model = AutoModelForSequenceClassification.from_pretrained(path)
model.eval()


def ids(text):
    if not isinstance(text, str):
        return tokenizer.apply_chat_template(text, tokenize=True, return_dict=True)["input_ids"]
    end = tokenizer.eos_token
    return tokenizer(text if text.endswith(end) else text + end)["input_ids"]


rows = [ids(text) for text in given["texts"]]
with torch.no_grad():
    alone = [model(input_ids=torch.tensor([row])).logits[0, 0].item() for row in rows]
print("pad", model.config.pad_token_id, "eos", tokenizer.eos_token_id, [row[-3:] for row in rows])
print("alone    ", max(abs(a - b) for a, b in zip(alone, given["scores"])), alone)
if model.config.pad_token_id is not None:
    longest = max(map(len, rows))
    batch = torch.tensor([row + [model.config.pad_token_id] * (longest - len(row)) for row in rows])
    mask = (torch.arange(longest)[None] < torch.tensor([[len(row)] for row in rows])).long()
    with torch.no_grad():
        padded = model(input_ids=batch, attention_mask=mask).logits[:, 0].tolist()
    print("in a batch", max(abs(a - b) for a, b in zip(padded, given["scores"])))
