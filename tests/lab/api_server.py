"""A stand-in for an API server: `api_server.py ADDRESS PORT CERTIFICATE FOLDER`.

What `FOLDER/ADDRESS` holds is how it is: `ready`; `stopping` serves while /readyz fails; `starting` accepts
connections, fails /readyz and lets all else wait. It writes a line to `FOLDER/ADDRESS.log` for each request.
"""

import http.server
import socketserver
import ssl
import sys
import time
from pathlib import Path

address, port, certificate, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with who this is."""
        how = (folder / address).read_text()
        if self.path == "/readyz":
            return self.answer(200 if how == "ready" else 500)
        with (folder / f"{address}.log").open("a") as log:
            log.write(f"{how}\n")
        if how == "starting":
            time.sleep(20)
        return self.answer(200)

    def answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(address)))
        self.end_headers()
        self.wfile.write(address.encode())

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


class Server(socketserver.ThreadingTCPServer):
    """Shakes hands in the connection's own thread."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Who went away went away."""


server = Server((address, port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
