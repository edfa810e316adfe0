"""A program that looks like a member of etcd to a balancer: TLS with client certificates, /version and /health."""

import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

address, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])


class Member(BaseHTTPRequestHandler):
    """It is healthy while no file `sick` is there; /who tells its address, and the connection stays open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sick = self.path.startswith("/health") and (folder / "sick").exists()
        self.send_response(503 if sick else 200)
        self.send_header("Content-Length", str(len(address)))
        self.end_headers()
        self.wfile.write(address.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


server = Server((address, port), Member)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "server.crt", folder / "server.key")
context.load_verify_locations(folder / "ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
# The handshake is the thread's: who stalls holds nobody else up.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
