/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call that may go to libvirtd is written to the debugging log: its name, VM, duration and result. The macros
 * below shadow libvirt's functions of the same name, so callers use libvirt's API as usual; disabled, a call costs one
 * more comparison. Calls that libvirt answers from its own memory (names, UUIDs, references) are not here, nor are
 * streams: src/agents logs what goes through those. Not for other layers.
 *
 * Add a line for each new libvirt function that calls libvirtd; tests/layers checks it.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

typedef struct {
  char *what; /* NULL: not logged */
  gint64 since;
} VirtCall;

/* @domain and @detail may be NULL. */
VirtCall virt_call_begin(const char *name, virDomainPtr domain, const char *detail);
/* Preserves this thread's last libvirt error. */
void virt_call_end_number(VirtCall *call, int answer);
void virt_call_end_pointer(VirtCall *call, const void *answer);

#define VIRT_CALL(name, detail, first, ...)                                                                      \
  ({                                                                                                             \
    __auto_type virt_first = (first);                                                                            \
    VirtCall virt_call = virt_call_begin(#name,                                                                  \
      _Generic(virt_first, virDomainPtr                                                                          \
               : virt_first, default                                                                             \
               : NULL),                                                                                          \
      detail);                                                                                                   \
    __auto_type virt_answer = name(virt_first, ##__VA_ARGS__);                                                   \
    _Generic(virt_answer, int : virt_call_end_number, default : virt_call_end_pointer)(&virt_call, virt_answer); \
    virt_answer;                                                                                                 \
  })

/* ---- hosts ---- */

#define virConnectOpen(uri) VIRT_CALL(virConnectOpen, uri, uri)
#define virConnectOpenAuth(uri, ...) VIRT_CALL(virConnectOpenAuth, uri, uri, __VA_ARGS__)
#define virConnectClose(virt) VIRT_CALL(virConnectClose, NULL, virt)
#define virConnectDomainXMLToNative(...) VIRT_CALL(virConnectDomainXMLToNative, NULL, __VA_ARGS__)
#define virConnectDomainEventRegisterAny(...) VIRT_CALL(virConnectDomainEventRegisterAny, NULL, __VA_ARGS__)
#define virConnectGetAllDomainStats(...) VIRT_CALL(virConnectGetAllDomainStats, NULL, __VA_ARGS__)
#define virConnectGetCapabilities(virt) VIRT_CALL(virConnectGetCapabilities, NULL, virt)
#define virConnectGetHostname(virt) VIRT_CALL(virConnectGetHostname, NULL, virt)
#define virConnectGetLibVersion(...) VIRT_CALL(virConnectGetLibVersion, NULL, __VA_ARGS__)
#define virConnectListAllDomains(...) VIRT_CALL(virConnectListAllDomains, NULL, __VA_ARGS__)
#define virNodeGetFreePages(...) VIRT_CALL(virNodeGetFreePages, NULL, __VA_ARGS__)
#define virNodeGetInfo(...) VIRT_CALL(virNodeGetInfo, NULL, __VA_ARGS__)
#define virNodeGetMemoryStats(...) VIRT_CALL(virNodeGetMemoryStats, NULL, __VA_ARGS__)

/* ---- VMs ---- */

#define virDomainAttachDeviceFlags(...) VIRT_CALL(virDomainAttachDeviceFlags, NULL, __VA_ARGS__)
#define virDomainCreate(domain) VIRT_CALL(virDomainCreate, NULL, domain)
#define virDomainCreateXML(...) VIRT_CALL(virDomainCreateXML, NULL, __VA_ARGS__)
#define virDomainDefineXML(...) VIRT_CALL(virDomainDefineXML, NULL, __VA_ARGS__)
#define virDomainDestroy(domain) VIRT_CALL(virDomainDestroy, NULL, domain)
#define virDomainDetachDeviceAlias(domain, alias, flags) \
  VIRT_CALL(virDomainDetachDeviceAlias, alias, domain, alias, flags)
#define virDomainGetJobStats(...) VIRT_CALL(virDomainGetJobStats, NULL, __VA_ARGS__)
#define virDomainGetState(...) VIRT_CALL(virDomainGetState, NULL, __VA_ARGS__)
#define virDomainGetXMLDesc(...) VIRT_CALL(virDomainGetXMLDesc, NULL, __VA_ARGS__)
#define virDomainHasManagedSaveImage(...) VIRT_CALL(virDomainHasManagedSaveImage, NULL, __VA_ARGS__)
#define virDomainIsPersistent(domain) VIRT_CALL(virDomainIsPersistent, NULL, domain)
#define virDomainLookupByName(virt, name) VIRT_CALL(virDomainLookupByName, name, virt, name)
#define virDomainLookupByUUIDString(virt, uuid) VIRT_CALL(virDomainLookupByUUIDString, uuid, virt, uuid)
#define virDomainManagedSaveGetXMLDesc(...) VIRT_CALL(virDomainManagedSaveGetXMLDesc, NULL, __VA_ARGS__)
#define virDomainMemoryStats(...) VIRT_CALL(virDomainMemoryStats, NULL, __VA_ARGS__)
#define virDomainOpenChannel(domain, port, ...) VIRT_CALL(virDomainOpenChannel, port, domain, port, __VA_ARGS__)
#define virDomainPMWakeup(...) VIRT_CALL(virDomainPMWakeup, NULL, __VA_ARGS__)
#define virDomainQemuAgentCommand(...) VIRT_CALL(virDomainQemuAgentCommand, NULL, __VA_ARGS__)
#define virDomainReboot(...) VIRT_CALL(virDomainReboot, NULL, __VA_ARGS__)
#define virDomainResume(domain) VIRT_CALL(virDomainResume, NULL, domain)
#define virDomainSetLifecycleAction(...) VIRT_CALL(virDomainSetLifecycleAction, NULL, __VA_ARGS__)
#define virDomainSetMemoryFlags(...) VIRT_CALL(virDomainSetMemoryFlags, NULL, __VA_ARGS__)
#define virDomainSetMemoryStatsPeriod(...) VIRT_CALL(virDomainSetMemoryStatsPeriod, NULL, __VA_ARGS__)
#define virDomainSetMetadata(...) VIRT_CALL(virDomainSetMetadata, NULL, __VA_ARGS__)
#define virDomainShutdown(domain) VIRT_CALL(virDomainShutdown, NULL, domain)
#define virDomainUpdateDeviceFlags(...) VIRT_CALL(virDomainUpdateDeviceFlags, NULL, __VA_ARGS__)
