#!/usr/bin/env python3
"""Asks the completion server what editors ask it, by Python's own HTTP client: python3 try.py SERVER MODEL"""

import http.client
import json
import subprocess
import sys


def main():
    server = subprocess.Popen([sys.argv[1], sys.argv[2], "0"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])

        def ask(path, body, method="POST"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        assert ask("/health", None, "GET") == (200, '{"status":"ok"}')
        prompt = {"prompt": "def add(a, b):", "max_tokens": 16}
        status, text = ask("/v1/completions", prompt)
        whole = json.loads(text)["choices"][0]["text"]
        assert status == 200 and "return a + b" in whole, text
        status, text = ask("/v1/completions", {**prompt, "stream": True})
        events = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
        assert status == 200 and events[-1] == "[DONE]", text
        assert "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1]) == whole, text
        # minipy has no tokens to fill in the middle with, and that is said.
        status, text = ask("/infill", {"input_prefix": "def add(a, b):\n", "input_suffix": "\n"})
        assert status == 400 and "fill in the middle" in text, text
        assert ask("/v1/completions", {"max_tokens": 1})[0] == 400
        assert ask("/nowhere", {})[0] == 404
        print("all as it should be")
    finally:
        server.kill()
        server.wait()


main()
