"""The losses of 20 steps of TRL's RewardTrainer on the tiny reward model, with margins and the centring term, in the order of the
data: python reward_curve.py SHARED/tiny/reward fixtures/align/reward/curve.json
(torch 2.13, transformers 5.24, trl 1.16, datasets 5.2, accelerate 1.15)."""
import json, random, sys, tempfile
from datasets import Dataset, fingerprint
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer

fingerprint.Hasher.hash = classmethod(lambda cls, value: "0")  # one data set, in memory: its hash decides nothing
source, out = sys.argv[1:3]
random.seed(5)
words = ["mill", "stone", "corn", "flour", "river", "wheel"]
rows = []
for i in range(40):
    a, b = random.sample(words, 2)
    rows.append(dict(prompt=f"{i % 7} {a}: ", chosen=f"{b} and {a}", rejected=" ".join(random.choices(words, k=1 + i % 3)), margin=round(random.random(), 2)))
config = RewardConfig(
    output_dir=tempfile.mkdtemp(), max_steps=20, per_device_train_batch_size=2, learning_rate=1e-3, logging_steps=1, report_to=[],
    train_sampling_strategy="sequential", center_rewards_coefficient=0.1, max_length=None, gradient_checkpointing=False, bf16=False,
    save_strategy="no", use_cpu=True, disable_tqdm=True, pad_to_multiple_of=None,
)
tokenizer = AutoTokenizer.from_pretrained(source)
# Tokenised as RewardTrainer would: the prompt with the answer, and the end of the text.
ids = lambda row, part: tokenizer(row["prompt"] + row[part] + tokenizer.eos_token)["input_ids"]
data = Dataset.from_list([dict(chosen_ids=ids(row, "chosen"), rejected_ids=ids(row, "rejected"), margin=row["margin"]) for row in rows])
trainer = RewardTrainer(
    model=AutoModelForSequenceClassification.from_pretrained(source), args=config, train_dataset=data,
    processing_class=tokenizer,
)
trainer.train()
log = [line for line in trainer.state.log_history if "loss" in line]
curve = dict(rows=rows, learning_rate=1e-3, center=0.1, batch=2, losses=[line["loss"] for line in log],
             grad_norms=[float(line["grad_norm"]) for line in log], learning_rates=[line["learning_rate"] for line in log])
json.dump(curve, open(out, "w"))
print(curve["losses"], curve["grad_norms"][:3], curve["learning_rates"][:3])
