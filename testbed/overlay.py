# SPDX-License-Identifier: Apache-2.0
"""Files put into a guest's image for one VM: an initramfs may be several archives in a row."""

import shutil
from pathlib import Path

# cpio's "newc" format (kernel, Documentation/driver-api/early-userspace/buffer-format.rst).
MAGIC = b'070701'
EXECUTABLE = 0o100755


def put(image, files, path):
    """Write to path an image with more files, {name: file on this machine}, all executable."""
    with Path(path).open('wb') as out:
        with Path(image).open('rb') as plain:
            shutil.copyfileobj(plain, out)
        out.write(bytes(-out.tell() % 4))
        for inode, (name, file) in enumerate(files.items(), 1):
            out.write(_member(name, Path(file).read_bytes(), inode))
        out.write(_member('TRAILER!!!', b'', 0))
    return Path(path)


def _member(name, content, inode):
    name = name.encode() + b'\0'
    fields = (inode, EXECUTABLE, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = MAGIC + b''.join(b'%08x' % field for field in fields) + name
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
