/* SPDX-License-Identifier: Apache-2.0 */
/* What a host can do with memory devices. Not for other layers: they find it in DmConfig. */
#pragma once

#include "connection_private.h"
#include "model/config.h"

/*
 * Sets what @config says of its host: slotless_virtio, keeps_addresses, dynamic_memslots. It is asked once
 * for each machine and emulator of a connection, and again after a passing failure: libvirt translates a made-up VM,
 * with two virtio-mem devices and nothing else, into a QEMU command line, by the capabilities of both, without starting
 * anything (virConnectDomainXMLToNative()). A read-only connection cannot, nor can a driver other than QEMU's; then it
 * is derived from libvirt's version. A call like all others.
 */
void abilities_tell(DmConnection *connection, DmConfig *config);
