"""Oracle for checkpoints: loads one in transformers and prints its greedy continuation of a prompt.

    VENV/bin/python test/oracle/load_checkpoint.py RUN/checkpoints/STEP "First Citizen:" 40
    quern generate --model RUN --prompt "First Citizen:" --tokens 40 --temperature 0     # must print the same

Exits with 1 if the tokenizer's ids differ from those in the fourth argument ("1,2,3").
"""
import sys
import warnings

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

warnings.filterwarnings("ignore")
folder, prompt, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
tokenizer = AutoTokenizer.from_pretrained(folder)
model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
assert GenerationConfig.from_pretrained(folder).eos_token_id == tokenizer.eos_token_id, "eos differs"
inputs = tokenizer(prompt, return_tensors="pt")
if len(sys.argv) > 4:
    given = [int(token) for token in sys.argv[4].split(",")]
    if inputs.input_ids[0].tolist() != given:
        sys.exit(f"ids differ: {inputs.input_ids[0].tolist()} and {given}")
with torch.no_grad():
    out = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, do_sample=False, max_new_tokens=tokens,
                         pad_token_id=tokenizer.eos_token_id)
print(tokenizer.decode(out[0, inputs.input_ids.shape[1]:], skip_special_tokens=True))
