"""LoRA with PEFT on the tiny policy: an adapter with values other than the initial ones, losses and gradient norms of a batch
with it, five steps of AdamW, and merged logits. Run: python peft_lora.py fixtures/align/policy fixtures/align/lora
(torch 2.13, transformers 5.24, peft 0.21)."""
import json, os, sys
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

policy, out = sys.argv[1], sys.argv[2]
torch.manual_seed(7)
ids = torch.randint(3, 260, (3, 12))
targets = ids.clone()
targets[0, :5] = -100
targets[2, :9] = -100
cases = []
for name, options in [
    ("plain", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    ("rslora", dict(r=2, lora_alpha=3, target_modules=["gate_proj", "down_proj", "o_proj"], use_rslora=True)),
]:
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(policy), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **options))
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "lora_" in key:
                value.copy_(torch.randn_like(value) * 0.1)
    folder = os.path.join(out, name)
    model.save_pretrained(folder)
    if os.path.exists(os.path.join(folder, "README.md")):
        os.remove(os.path.join(folder, "README.md"))
    config = json.load(open(os.path.join(folder, "adapter_config.json")))
    config["base_model_name_or_path"] = "../../policy"
    json.dump(config, open(os.path.join(folder, "adapter_config.json"), "w"), indent=2, sort_keys=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    losses, norms = [], {}
    for step in range(5):
        loss = model(input_ids=ids, labels=targets).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            norms = {k.replace("base_model.model.", "").replace(".default", ""): p.grad.norm().item() for k, p in model.named_parameters() if p.requires_grad}
        optimizer.step()
    after = {k.replace("base_model.model.", "").replace(".default", ""): p.norm().item() for k, p in model.named_parameters() if p.requires_grad}
    merged = AutoModelForCausalLM.from_pretrained(policy)
    from peft import PeftModel
    merged = PeftModel.from_pretrained(merged, folder).merge_and_unload()
    logits = merged(input_ids=ids).logits[:, -1, :8]
    cases.append(dict(name=name, losses=losses, gradient_norms=norms, norms_after=after, merged_logits=logits.tolist()))
json.dump(dict(ids=ids.tolist(), targets=targets.tolist(), cases=cases), open(os.path.join(out, "expected.json"), "w"))
