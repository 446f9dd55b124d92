/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-floor-libvirt URI VM ALIAS...
 *
 * The floor of whatever asks through libvirt: a bare program that subscribes, calls virDomainDetachDeviceAlias() for
 * each device, one right after the other, and waits for as many events. Prints the seconds from the first call to the
 * last event. Beside bench-floor it tells what libvirt itself takes.
 */
#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdio.h>

static int missing;
static gint64 last;

static void on_removed(virConnectPtr connection, virDomainPtr domain, const char *alias, void *data) {
  last = g_get_monotonic_time();
  missing--;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fputs("usage: bench-floor-libvirt URI VM ALIAS...\n", stderr);
    return 2;
  }
  virEventRegisterDefaultImpl();
  virConnectPtr connection = virConnectOpen(argv[1]);
  if (connection == NULL ||
    virConnectDomainEventRegisterAny(
      connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_removed), NULL, NULL) < 0)
    return 1;
  missing = argc - 3;
  virDomainPtr domain = virDomainLookupByName(connection, argv[2]);
  gint64 start = g_get_monotonic_time();
  for (int i = 3; i < argc; i++)
    if (domain == NULL || virDomainDetachDeviceAlias(domain, argv[i], VIR_DOMAIN_AFFECT_LIVE) != 0)
      return 1;
  while (missing > 0)
    if (virEventRunDefaultImpl() < 0)
      return 1;
  printf("%.6f\n", (double)(last - start) / G_USEC_PER_SEC);
  virDomainFree(domain);
  virConnectClose(connection);
  return 0;
}
