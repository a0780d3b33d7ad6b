"""What the broken streams share: sound.py, but a caller that wants a stream gets chunks."""

from sound import Sound


class Streaming(Sound):
    def asked_to_stream(self):
        return self.headers.get("X-Amzn-SageMaker-Accept") == "application/jsonlines"

    def reply(self, status, body, content_type="application/json", **headers):
        if status != 200 or not self.asked_to_stream():
            super().reply(status, body, content_type, **headers)
            return
        self.close_connection = True
        self.send_response(200)
        for name, value in {"Content-Type": content_type, "Connection": "close", **self.framing(body)}.items():
            self.send_header(name, value)
        self.end_headers()
        for line in body.splitlines(keepends=True):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(self.last())

    def framing(self, body):
        return {"Transfer-Encoding": "chunked"}

    def last(self):
        return b"0\r\n\r\n"
