"""Writes test/data/fixtures/warcio.json: small odd archives with the pages that warcio reads from them.

    pip install warcio brotli && python test/oracle/warcio_archives.py
"""
import base64
import gzip
import io
import json
import pathlib
import zlib

import brotli
from warcio.archiveiterator import ArchiveIterator
from warcio.bufferedreaders import BufferedReader


class Brotli:
    """warcio 1.8 sets a field on brotli's decompressor; newer versions of brotli reject that."""

    unused_data = None

    def __init__(self):
        self.decompress = brotli.Decompressor().process


BufferedReader.DECOMPRESSORS["br"] = Brotli

PAGE = b"<html><head><title>The mill</title></head><body>" + b"<p>The old mill stands at the river.</p>" * 5 + b"</body></html>"


def packed(data):
    return gzip.compress(data, mtime=0)


def chunked(body, size="%x", extension=b"", parts=3):
    step = -(-len(body) // parts)
    pieces = [body[i:i + step] for i in range(0, len(body), step)]
    return b"".join((size % len(piece)).encode() + extension + b"\r\n" + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


def http(headers, body):
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + headers.encode() + b"\r\n" + body


def warc(number, content, version="1.0", length=None, uri="http://a.test/%d"):
    return (f"WARC/{version}\r\nWARC-Type: response\r\nWARC-Target-URI: {uri % number}\r\nWARC-Date: 2024-05-01T00:00:00Z\r\n"
            f"WARC-Record-ID: <urn:uuid:{number}>\r\nContent-Type: application/http; msgtype=response\r\n"
            f"Content-Length: {len(content) if length is None else length}\r\n\r\n").encode() + content + b"\r\n\r\n"


def arc(number, content, address="http://a.test/%d"):
    return f"{address % number} 1.2.3.4 20240501000000 text/html {len(content)}\n".encode() + content + b"\n"


ENCODINGS = ["none", "identity", "UTF-8", "8bit", "aws-chunked", "", "gzip", "deflate", "br"]
bodies = [("", PAGE)] + [(f"Content-Encoding: {name}\r\n", PAGE) for name in ENCODINGS]
bodies += [("Content-Encoding: gzip\r\n", packed(PAGE)), ("Content-Encoding: GZIP\r\n", packed(PAGE)),
           ("Content-Encoding: gzip\r\n", packed(PAGE) + b"behind the end"), ("Content-Encoding: deflate\r\n", zlib.compress(PAGE)),
           ("Content-Encoding: deflate\r\n", zlib.compress(PAGE)[2:-4]), ("Content-Encoding: br\r\n", brotli.compress(PAGE))]
CHUNKED = "Transfer-Encoding: chunked\r\n"
bodies += [(CHUNKED, chunked(PAGE)), (CHUNKED, chunked(PAGE, "%016x")), (CHUNKED, chunked(PAGE, "%X  ")), (CHUNKED, chunked(PAGE, extension=b";a=b")),
           (CHUNKED, PAGE), (CHUNKED, chunked(PAGE)[:-5]), (CHUNKED + "Content-Encoding: gzip\r\n", chunked(packed(PAGE))),
           (CHUNKED + "Content-Encoding: gzip\r\n", packed(PAGE))]
contents = [http(headers, body) for headers, body in bodies]
archives = {
    "plain": b"".join(warc(i, content) for i, content in enumerate(contents)),
    "a gzip member a record": b"".join(packed(warc(i, content)) for i, content in enumerate(contents)),
    "version 1.1, LF, addresses with spaces and brackets":
        b"".join(warc(i, content, "1.1", uri=uri).replace(b"\r\n", b"\n", 7) for i, (content, uri) in enumerate(zip(contents[:2], ["http://a.test/a b/%d", "<http://a.test/%d>"]))),
    "ARC": arc(0, contents[0]) + arc(1, contents[1], "http://a.test/a b c%d") + arc(2, contents[-1]),
    "ARC, a gzip member a record": b"".join(packed(arc(i, content)) for i, content in enumerate(contents)),
}
fixtures = []
for name, data in archives.items():
    pages = []
    for record in ArchiveIterator(io.BytesIO(data)):
        if record.rec_type == "response":
            url = record.rec_headers.get_header("WARC-Target-URI") or record.rec_headers.get_header("uri")
            pages.append([url, record.content_stream().read().decode("latin1")])
    # All bodies that equal the page are stored as one text.
    fixtures.append({"name": name, "archive": base64.b64encode(packed(data)).decode(),
                     "pages": [[url, None if body == PAGE.decode() else body] for url, body in pages]})
out = pathlib.Path(__file__).parent.parent / "data/fixtures/warcio.json"
out.write_text(json.dumps({"page": PAGE.decode(), "archives": fixtures}, indent=1) + "\n")
