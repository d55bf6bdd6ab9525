"""Writes fixtures/align/events.json: an event file as TensorBoard's own writer makes it, and what it contains.

    pip install --target /tmp/tb tensorboard==2.21.0 && PYTHONPATH=/tmp/tb python test/oracle/tensorboard_events.py

With the path of an event file as argument, prints the scalars that TensorBoard reads from it, as it shows them.
"""

import base64
import json
import os
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

if len(sys.argv) > 1:
    accumulator = EventAccumulator(sys.argv[1])
    accumulator.Reload()
    for tag in accumulator.Tags()["scalars"]:
        print(tag, [(event.step, round(event.value, 6)) for event in accumulator.Scalars(tag)])
    sys.exit()


def scalars(step, values):
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
    return Event(wall_time=1700000000.5 + step, step=step, summary=summary)


steps = [
    {"step": 1, "scalars": {"train/loss": 2.5, "train/grad_norm": 0.1}},
    {"step": 300, "scalars": {"train/loss": -1e-8, "validation/reward": 1e30, "träin/π": 0.0}},
]
events = [
    Event(wall_time=1700000000.5, file_version="brain.Event:2"),
    Event(wall_time=1700000001.5, step=1, session_log=SessionLog(status=SessionLog.START)),
    *(scalars(one["step"], one["scalars"]) for one in steps),
]
path = os.path.join(tempfile.mkdtemp(), "events.out.tfevents.1700000000.oracle")
with open(path, "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    file.flush()
    out = os.path.join(os.path.dirname(__file__), "fixtures", "align", "events.json")
    content = base64.b64encode(open(path, "rb").read()).decode()
json.dump({"wall_time": 1700000000.5, "steps": steps, "base64": content}, open(out, "w"), indent=1)
