"""A web server that is made to be killed: what it took is one JSON line each, on standard output, before it answers.

python web_server.py PORT RULES_FILE

The rules are re-read for each request: {"status": 500, "retry_after": "2", "left": 3} answers the next 3 so (counted in
this process, anew when the file changes); {"poison": "TEXT"} answers 400 where the body holds the text; {"location": U}
redirects. Everything else gets 204.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rules_file = Path()
    seen = ""
    left = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        text = self.rules_file.read_text()
        rules = json.loads(text)
        if text != Handler.seen:
            Handler.seen, Handler.left = text, rules.get("left", 0)
        status = 204
        if rules.get("poison", "\0") in body:
            status = 400
        elif Handler.left:
            Handler.left -= 1
            status = rules["status"]
        told = {"status": status, "headers": {key.lower(): self.headers[key] for key in self.headers}, "body": body}
        os.write(1, json.dumps({**told, "path": self.path}).encode() + b"\n")
        self.send_response(status)
        for name, key in (("retry-after", "retry_after"), ("location", "location")):
            if status != 204 and key in rules:
                self.send_header(name, rules[key])
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_rest: object) -> None:
        return


if __name__ == "__main__":
    Handler.rules_file = Path(sys.argv[2])
    ThreadingHTTPServer.allow_reuse_address = True
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
