from .base import CSV, Contender, Start

CONF = """
worker_processes 2; daemon off; pid nginx.pid; error_log stderr error;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path body; server {
  listen 127.0.0.1:%d backlog=4096; keepalive_requests 1000000; location / { return 200 "0\\n"; } } }
"""


class Nginx(Contender):
    """The limit of the machine: nginx answering a constant, whatever is asked."""

    name, title, environment, models, answers = "nginx", "nginx, a constant", None, ("rf",), False
    protocols = {"own": CSV}
    rounds = 1

    def command(self, start: Start) -> list[str]:
        (start.scratch / "nginx.conf").write_text(CONF % start.port)
        return ["nginx", "-e", "stderr", "-p", str(start.scratch), "-c", "nginx.conf"]
