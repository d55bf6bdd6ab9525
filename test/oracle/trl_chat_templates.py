"""Renders the chat templates of PyPI's trl with transformers; writes test/tokenizer/fixtures/chat-templates.json.

The templates are not copied. The fixture contains conversations, the SHA-256 of each template, and for each rendering its length,
the first 16 hex digits of its SHA-256 (null if transformers raises) and the spans of `{% generation %}`.

    python test/oracle/trl_chat_templates.py        # needs transformers 5.24, jinja2 3.1.6, trl 1.16
"""
import glob
import hashlib
import importlib.util
import json
import os

from transformers.utils import chat_template_utils as utils

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(importlib.util.find_spec("trl").origin), "chat_templates")
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "image_token": "<image>"}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a place.\nIn degrees.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "its name, \u00e9"},
                    "days": {"type": "integer", "enum": [1, 2, 3]},
                    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
                    "where": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
                    "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["city"],
            },
            "return": {"type": "string", "description": "a text"},
        },
    },
    {"type": "function", "function": {"name": "noop", "description": "Nothing.", "parameters": {"type": "object", "properties": {}}}},
]
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Z\u00fcrich", "days": 2, "exact": True, "where": {"lat": 47.4}, "none": None}}}
CALL_TEXT = {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
USER = {"role": "user", "content": "What is 2 + 2?"}
ANSWER = {"role": "assistant", "content": "It is 4.\n"}
CONVERSATIONS = {
    "user": [USER],
    "turn": [USER, ANSWER],
    "system": [{"role": "system", "content": " You are kind. \n"}, USER],
    "turns": [{"role": "system", "content": "S"}, USER, ANSWER, {"role": "user", "content": "  And 3?\n\n"}, {"role": "assistant", "content": "  6  "}, {"role": "user", "content": "\u732b \U0001f600 <|im_end|>"}],
    "developer": [{"role": "developer", "content": "Short."}, USER],
    "thoughts": [USER, {"role": "assistant", "content": "<think>\n  - add\n</think>\n\n    4"}, {"role": "user", "content": "More"}, {"role": "assistant", "content": "<think>\nx</think>5"}],
    "reasoning": [USER, {"role": "assistant", "reasoning_content": "\nadd them\n", "content": "4"}, {"role": "user", "content": "And?"}, {"role": "assistant", "thinking": "hm", "content": "5"}],
    "empty": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}],
    "none": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefghi", "content": '{"t": 20.5}'}],
    "tools": [{"role": "system", "content": "S"}, USER, {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, CALL_TEXT]}, {"role": "tool", "tool_call_id": "abcdefghi", "name": "get_weather", "content": "20"}, {"role": "tool", "tool_call_id": "abcdefghi", "name": "get_weather", "content": "21"}, {"role": "assistant", "content": "Warm."}],
    "tool dict": [USER, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "noop", "arguments": {}}}]}, {"role": "tool", "name": "noop", "content": {"a": [1, None, True, 2.5]}}],
    "blocks": [{"role": "system", "content": [{"type": "text", "text": "S"}]}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}, {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}],
    "image url": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "video"}, {"type": "text", "text": "Two"}, {"type": "text", "text": " texts "}]}],
    "same role": [USER, USER],
    "assistant first": [ANSWER, USER],
    "unknown role": [{"role": "critic", "content": "No."}],
    "only system": [{"role": "system", "content": "S"}],
    "long": [USER, ANSWER] * 6 + [{"role": "user", "content": "x" * 3000}],
}
OPTIONS = [
    {},
    {"add_generation_prompt": True},
    {"add_generation_prompt": True, "tools": TOOLS},
    {"tools": TOOLS},
    {"continue_final_message": True},
    {"add_generation_prompt": True, "enable_thinking": False},
    {"add_generation_prompt": True, "enable_thinking": True, "preserve_thinking": True},
    {"documents": [{"title": "T", "text": "A text.", "url": "u"}], "add_generation_prompt": True},
    {"reasoning_effort": "high", "add_generation_prompt": True},
]
# A fixed date, for templates that print the current one.
utils.datetime = type("datetime", (), {"now": staticmethod(lambda: __import__("datetime").datetime(2024, 2, 29, 13, 5, 9))})


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def utf16(text, at):
    return len(text[:at].encode("utf-16-le")) // 2


def render(template, messages, options):
    try:
        messages = utils._normalize_chat_messages(json.loads(json.dumps(messages)))
        spans = "continue_final_message" not in options
        texts, marked = utils.render_jinja_template(
            conversations=[messages], chat_template=template, return_assistant_tokens_mask=spans, **{**TOKENS, **options}
        )
        text = texts[0]
        found = marked[0] if spans else []
        return [len(text), digest(text)] + ([[utf16(text, at) for span in found for at in span]] if found else [])
    except Exception:
        return None


templates = {}
for path in sorted(glob.glob(os.path.join(FOLDER, "*.jinja"))):
    with open(path, encoding="utf-8", newline="") as file:
        source = file.read()
    renderings = []
    for messages in CONVERSATIONS.values():
        for options in OPTIONS:
            if "tools" not in options or "documents" not in options:
                renderings.append(render(source, messages, options))
    templates[os.path.basename(path)] = {"sha256": digest(source), "renderings": renderings}

out = {"tokens": TOKENS, "conversations": list(CONVERSATIONS.values()), "options": OPTIONS, "templates": templates}
with open(os.path.join(HERE, "../tokenizer/fixtures/chat-templates.json"), "w", encoding="utf-8") as file:
    json.dump(out, file, ensure_ascii=False, separators=(",", ":"))
    file.write("\n")
count = sum(len(each["renderings"]) for each in templates.values())
print(len(templates), "templates,", count, "renderings,", sum(r is None for each in templates.values() for r in each["renderings"]), "raise")
