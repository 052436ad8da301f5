"""Cameras on the loopback address: MJPEG, MPEG-TS or MP4 over HTTP, and RTSP; they can die.

Nothing here listens on another address than 127.0.0.1, and every loop ends with its server.
"""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 48, 64
LEVELS = 12  # brightness of picture k: 20 + 18 * (k mod 12)


def picture(k: int) -> np.ndarray:
    """Picture k: grey, a little brighter than the one before."""
    return np.full((HEIGHT, WIDTH, 3), 20 + 18 * (k % LEVELS), np.uint8)


def number(image: np.ndarray) -> int:
    """Which of the `LEVELS` pictures this is."""
    return round((float(image.mean()) - 20) / 18)


def encoded(form: str, n: int, *, fps: int = 25, codec: str = "libx264", **options: str) -> bytes:
    """A video of n pictures as bytes, written without seeking back."""
    target = io.BytesIO()
    with av.open(target, "w", format=form, options=options) as out:
        _write(out, n, fps, codec)
    return target.getvalue()


def encoded_file(path, form: str, n: int) -> None:
    """A video of n pictures in a file, with its head where the format wants it."""
    codec = {"avi": "mpeg4", "webm": "libvpx"}.get(form, "libx264")
    options = {"movflags": "faststart"} if form in ("mp4", "mov") else {}
    with av.open(str(path), "w", format=form, options=options) as out:
        _write(out, n, 25, codec)


def _write(out, n: int, fps: int, codec: str) -> None:
    stream = out.add_stream(codec, rate=fps)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.options = {"tune": "zerolatency", "g": "5"} if codec == "libx264" else {}
    stream.codec_context.gop_size = 5
    for k in range(n):
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k), format="rgb24")))
    out.mux(stream.encode(None))


def jpegs(n: int) -> list[bytes]:
    """Pictures 0 .. n - 1 as JPEG."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
    codec.time_base = Fraction(1, 25)
    out = []
    for k in range(n):
        frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24").reformat(format="yuvj420p")
        frame.pts = k
        out += [bytes(p) for p in codec.encode(frame)]
    return out + [bytes(p) for p in codec.encode(None)]


class Server:
    """Accepts connections on a fixed port; `die` and `restart` as often as wanted.

    Args:
        fps: pictures per second; the pace of the pieces of a stream.
    """

    scheme, path = "http", ""

    def __init__(self, *, fps: float = 50.0) -> None:
        self.fps = fps
        self.port = 0
        self.connections = 0
        self.stalled = threading.Event()
        self._alive = threading.Event()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.restart()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{self.path}"

    def restart(self) -> None:
        """Listen (again), on the same port."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._listener.listen(8)
        self.stalled.clear()
        self._alive = threading.Event()
        self._alive.set()
        threading.Thread(
            target=self._accept, args=(self._listener, self._alive), daemon=True
        ).start()

    def drop(self, *, reset: bool = False) -> None:
        """End all connections, orderly or by a reset; new ones are welcome."""
        with self._lock:
            for one in self._open:
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()

    def die(self, *, reset: bool = False) -> None:
        """Stop listening and end all connections."""
        self._alive.clear()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop(reset=reset)

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.die()

    def pace(self) -> None:
        """Until the next piece is due; longer while the server stalls."""
        time.sleep(1.0 / self.fps)
        while self.stalled.is_set() and self._alive.is_set():
            time.sleep(0.01)

    def _accept(self, listener: socket.socket, alive: threading.Event) -> None:
        while alive.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.append(connection)
                self.connections += 1
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.serve(connection)
        with self._lock, contextlib.suppress(ValueError):
            self._open.remove(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection until it ends."""
        raise NotImplementedError


def request(connection: socket.socket) -> str:
    """One request up to its empty line; at most 8 KiB."""
    got = b""
    while b"\r\n\r\n" not in got and len(got) < 8192:
        piece = connection.recv(1024)
        if not piece:
            raise OSError("the client has gone")
        got += piece
    return got.decode("latin-1")


class MjpegCamera(Server):
    """`multipart/x-mixed-replace`, as most network cameras offer; the numbers go on for ever."""

    path = "video.mjpg"

    def __init__(self, **options) -> None:
        self.pictures = jpegs(LEVELS)
        self.sent = 0
        super().__init__(**options)

    def serve(self, connection: socket.socket) -> None:
        request(connection)
        connection.sendall(
            b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        )
        while self._alive.is_set():
            data = self.pictures[self.sent % LEVELS]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data + b"\r\n")
            self.sent += 1
            self.pace()


class PieceCamera(Server):
    """Bytes of a video in pieces; without a length it is live.

    Args:
        data: the video.
        length: also say how long it is (a file).
        cut: end after so many bytes.
        again: begin again at the end.
    """

    def __init__(
        self,
        data: bytes,
        *,
        kind: str = "video/mp2t",
        length: bool = False,
        cut: int | None = None,
        piece: int = 1316,
        again: bool = False,
        **options,
    ) -> None:
        self.data, self.kind, self.length = data, kind, length
        self.cut, self.piece, self.again = cut, piece, again
        super().__init__(**options)

    def serve(self, connection: socket.socket) -> None:
        request(connection)
        head = f"HTTP/1.0 200 OK\r\nContent-Type: {self.kind}\r\n"
        if self.length:
            head += f"Content-Length: {len(self.data)}\r\n"
        connection.sendall((head + "\r\n").encode())
        data = self.data if self.cut is None else self.data[: self.cut]
        while self._alive.is_set():
            for begin in range(0, len(data), self.piece):
                connection.sendall(data[begin : begin + self.piece])
                self.pace()
                if not self._alive.is_set():
                    return
            if not self.again:
                return


def h264_pictures(n: int) -> tuple[bytes, list[list[bytes]]]:
    """SPS and PPS joined for an SDP, and the NAL units of every picture."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base = Fraction(1, 25)
    codec.options = {"tune": "zerolatency", "g": "5"}
    pictures = []
    for k in range(n):
        frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24").reformat(format="yuv420p")
        frame.pts = k
        for packet in codec.encode(frame):
            units = [u.rstrip(b"\0") for u in bytes(packet).split(b"\0\0\1")]
            pictures.append([u for u in units if u])
    sets = [u for u in pictures[0] if u[0] & 31 in (7, 8)]
    return b",".join(base64.b64encode(u) for u in sets), pictures


class RtspCamera(Server):
    """RTSP 1.0, H.264 over RTP interleaved in the connection."""

    scheme, path = "rtsp", "live"

    def __init__(self, **options) -> None:
        self.sets, self.pictures = h264_pictures(60)
        self.asked: list[str] = []
        self.sent = 0
        super().__init__(**options)

    def serve(self, connection: socket.socket) -> None:
        playing = False
        connection.settimeout(30)
        while not playing:
            text = request(connection)
            method = text.split(" ", 1)[0]
            self.asked.append(method)
            fields = dict(line.split(": ", 1) for line in text.split("\r\n")[1:] if ": " in line)
            head, body = {"CSeq": fields.get("CSeq", "0"), "Session": "1"}, ""
            if method == "OPTIONS":
                head["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
            elif method == "DESCRIBE":
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
                    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={self.sets.decode()}\r\n"
                    "a=control:track1\r\n"
                )
                head |= {"Content-Type": "application/sdp", "Content-Base": self.url + "/"}
            elif method == "SETUP":
                head["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
            elif method == "PLAY":
                playing = True
            if body:
                head["Content-Length"] = str(len(body))
            lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
            connection.sendall(f"RTSP/1.0 200 OK\r\n{lines}\r\n{body}".encode())
        self._play(connection)

    def _play(self, connection: socket.socket) -> None:
        sequence, stamp = 0, 0
        threading.Thread(target=self._listen, args=(connection,), daemon=True).start()
        for k in range(100_000):
            units = self.pictures[k % len(self.pictures)]
            for i, unit in enumerate(units):
                marker = 0x80 if i == len(units) - 1 else 0
                rtp = struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, stamp, 1) + unit
                connection.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                sequence += 1
            stamp = (stamp + round(90_000 / self.fps)) & 0xFFFFFFFF
            self.sent += 1
            self.pace()
            if not self._alive.is_set():
                return

    def _listen(self, connection: socket.socket) -> None:
        """What the client says while pictures flow: that it leaves."""
        with contextlib.suppress(OSError):
            while self._alive.is_set():
                self.asked.append(request(connection).split(" ", 1)[0].lstrip("\0$"))
