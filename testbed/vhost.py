# SPDX-License-Identifier: Apache-2.0
"""A vhost-user back end that says as little as QEMU lets it: of an older protocol, which maps 8 pieces of memory at most.

The messages are those of QEMU's docs/interop/vhost-user.rst.
"""

import contextlib
import socket
import struct
import threading

HEADER = struct.Struct('<III')  # request, flags, size of what follows
REPLY, NEEDS_REPLY = 1 << 2, 1 << 3
GET_FEATURES, GET_VRING_BASE, GET_PROTOCOL_FEATURES, GET_CONFIG = 1, 11, 15, 24
VERSION_1, PROTOCOL_FEATURES = 1 << 32, 1 << 30
CONFIG = 1 << 9  # and so not CONFIGURE_MEM_SLOTS


def answer(request, payload):
    if request == GET_FEATURES:
        return struct.pack('<Q', VERSION_1 | PROTOCOL_FEATURES)
    if request == GET_PROTOCOL_FEATURES:
        return struct.pack('<Q', CONFIG)
    return payload if request in (GET_CONFIG, GET_VRING_BASE) else None


def serve(listening):
    with contextlib.suppress(OSError):  # closed, by QEMU or by us
        connection, _ = listening.accept()
        with connection, connection.makefile('rb') as stream:
            while header := stream.read(HEADER.size):
                request, flags, size = HEADER.unpack(header)
                payload = stream.read(size)
                reply = answer(request, payload)
                if reply is None and flags & NEEDS_REPLY:
                    reply = struct.pack('<Q', 0)
                if reply is not None:
                    connection.sendall(HEADER.pack(request, 1 | REPLY, len(reply)) + reply)


@contextlib.contextmanager
def disk(host, name):
    """A vhost-user disk for one start of a VM whose memory is shared: the XML of the device."""
    path = host.folder / f'{name}.vhost'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen(1)
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield f"""<disk type='vhostuser' device='disk'><driver name='qemu' type='raw'/>
<source type='unix' path='{path}'/><target dev='vda' bus='virtio'/></disk>"""
