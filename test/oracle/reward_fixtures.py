"""Fixtures of reward models (torch 2.13, transformers 5.24, peft 0.21), from the tiny models of ../shared/oracle:

    python reward_fixtures.py SHARED/tiny/reward fixtures/align/policy fixtures/align/reward

head/     config.json and the head's weights of the tiny reward model, whose trunk is that of fixtures/align/policy
adapter/  an adapter with task type SEQ_CLS that PEFT wrote on the policy, with values other than the first ones
expected.json  scores of some texts under both, by transformers, in a batch padded on the right
"""
import json, os, shutil, sys
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

reward, policy, out = sys.argv[1:4]
TEXTS = ["Say hi. Hello there!<|im_end|>", "2+2=4<|im_end|>", "a<|pad|><|im_end|>", "x" * 40 + "<|im_end|>"]
tokenizer = AutoTokenizer.from_pretrained(reward)


def scores(model):
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    longest = max(map(len, ids))
    rows = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = (torch.arange(longest)[None] < torch.tensor([[len(row)] for row in ids])).long()
    with torch.no_grad():
        return model.eval()(input_ids=rows, attention_mask=mask).logits[:, 0].tolist()


head = os.path.join(out, "head")
os.makedirs(head, exist_ok=True)
shutil.copyfile(os.path.join(reward, "config.json"), os.path.join(head, "config.json"))
save_file({"score.weight": load_file(os.path.join(reward, "model.safetensors"))["score.weight"]}, os.path.join(head, "score.safetensors"))
expected = dict(texts=TEXTS, head=scores(AutoModelForSequenceClassification.from_pretrained(reward)))

torch.manual_seed(11)
base = AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1)
model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"]))
with torch.no_grad():
    for key, value in model.named_parameters():
        if "lora_" in key or "score.modules_to_save" in key:
            value.copy_(torch.randn_like(value) * 0.1)
folder = os.path.join(out, "adapter")
model.save_pretrained(folder)
if os.path.exists(os.path.join(folder, "README.md")):
    os.remove(os.path.join(folder, "README.md"))
config = json.load(open(os.path.join(folder, "adapter_config.json")))
config["base_model_name_or_path"] = "../../policy"
json.dump(config, open(os.path.join(folder, "adapter_config.json"), "w"), indent=2, sort_keys=True)
expected["adapter"] = scores(PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1), folder))
json.dump(expected, open(os.path.join(out, "expected.json"), "w"))
print(expected)
