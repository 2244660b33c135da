"""A DICOMweb service on this machine, of both kinds: frames as single parts, or in messages."""

from __future__ import annotations

import io
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOUNDARY = "a-boundary"


class DICOMwebServer:
    """Serves data sets of pydicom; a context manager.

    Parameters
    ----------
    datasets : list of pydicom.Dataset
        The instances.
    single : bool
        Whether frames are sent as single parts where that is asked for.
    pad : bool
        Whether frames are padded to an even number of bytes.
    """

    def __init__(self, datasets, *, single=True, pad=False, secret=None):
        self.datasets = datasets
        self.single, self.pad, self.secret = single, pad, secret
        self.asked = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def root(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def series(self, data):
        return (
            f"dicomweb+{self.root}/studies/{data.StudyInstanceUID}/series/{data.SeriesInstanceUID}"
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def found(self, path):
        parts = dict(re.findall(r"/(studies|series|instances|frames)/([0-9.]+)", path))
        names = {
            "studies": "StudyInstanceUID",
            "series": "SeriesInstanceUID",
            "instances": "SOPInstanceUID",
        }
        fit = [
            data
            for data in self.datasets
            if all(getattr(data, names[k]) == v for k, v in parts.items() if k in names)
        ]
        return fit, int(parts["frames"]) if "frames" in parts else None

    def answer(self, request):
        accept = request.headers.get("Accept", "")
        self.asked.append((request.path, accept, request.headers.get("Range")))
        if self.secret and request.headers.get("Authorization") != self.secret:
            return self.send(request, 401, b"", "text/plain")
        fit, frame = self.found(request.path)
        if not fit:
            return self.send(request, 404, b"", "text/plain")
        if request.path.endswith("/metadata"):
            if "application/dicom+json" not in accept:
                return self.send(request, 406, b"", "text/plain")
            # Pixels and other bulk lie elsewhere.
            how = {"bulk_data_threshold": 64, "bulk_data_element_handler": lambda _: "../bulk"}
            made = [data.to_json_dict(**how) for data in fit]
            return self.send(request, 200, json.dumps(made).encode(), "application/dicom+json")
        if frame is None:
            out = io.BytesIO()
            fit[0].save_as(out, enforce_file_format=True)
            return self.parts(request, out.getvalue(), "application/dicom", accept)
        whole, count = fit[0].PixelData, int(getattr(fit[0], "NumberOfFrames", 1))
        size = fit[0].Rows * fit[0].Columns * fit[0].SamplesPerPixel * fit[0].BitsAllocated // 8
        assert len(whole) - len(whole) % 2 - count * size in (0, -1, 1)
        data = whole[(frame - 1) * size : frame * size]
        return self.parts(
            request, data + b"\0" * (self.pad * (size % 2)), "application/octet-stream", accept
        )

    def parts(self, request, data, kind, accept):
        if self.single and accept.startswith(kind):
            return self.send(request, 200, data, kind)
        if "multipart/related" not in accept and accept != "*/*":
            return self.send(request, 406, b"", "text/plain")
        head = f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Location: {request.path}\r\n\r\n"
        body = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self.send(
            request, 200, body, f'multipart/related; type="{kind}"; boundary={BOUNDARY}'
        )

    def send(self, request, status, data, kind):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
