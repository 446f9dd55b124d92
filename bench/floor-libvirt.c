/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-floor-libvirt [--recorded] URI VM ALIAS...
 *
 * The floor of whatever asks through libvirt: a bare program that subscribes, calls virDomainDetachDeviceAlias() for
 * each device, one right after the other, and waits for as many events. Prints the seconds from the first call to the
 * last event. Beside bench-floor it tells what libvirt itself takes.
 *
 * With --recorded it does first what no request that survives a crash can do without: it reads both definitions of the
 * VM, puts something into its metadata, defines its next run, and puts something else into its metadata.
 */
#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <stdlib.h>

static int missing;
static gint64 last;

static void on_removed(virConnectPtr connection, virDomainPtr domain, const char *alias, void *data) {
  last = g_get_monotonic_time();
  missing--;
}

static int put(virDomainPtr domain, const char *element) {
  return virDomainSetMetadata(
    domain, VIR_DOMAIN_METADATA_ELEMENT, element, "bench", "urn:bench:floor", VIR_DOMAIN_AFFECT_LIVE);
}

/* Whether all of it went well. */
static gboolean record(virConnectPtr connection, virDomainPtr domain) {
  char *live = virDomainGetXMLDesc(domain, 0);
  char *next_run = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
  gboolean well = live != NULL && next_run != NULL && put(domain, "<request state='planned'/>") == 0;
  virDomainPtr defined = well ? virDomainDefineXML(connection, next_run) : NULL;
  well = defined != NULL && put(domain, "<request state='asked'/>") == 0;
  if (defined != NULL)
    virDomainFree(defined);
  free(live);
  free(next_run);
  return well;
}

int main(int argc, char **argv) {
  gboolean recorded = argc > 1 && g_str_equal(argv[1], "--recorded");
  argc -= recorded;
  argv += recorded;
  if (argc < 4) {
    fputs("usage: bench-floor-libvirt [--recorded] URI VM ALIAS...\n", stderr);
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
  if (domain == NULL || (recorded && !record(connection, domain)))
    return 1;
  for (int i = 3; i < argc; i++)
    if (virDomainDetachDeviceAlias(domain, argv[i], VIR_DOMAIN_AFFECT_LIVE) != 0)
      return 1;
  while (missing > 0)
    if (virEventRunDefaultImpl() < 0)
      return 1;
  printf("%.6f\n", (double)(last - start) / G_USEC_PER_SEC);
  if (recorded)
    put(domain, NULL);
  virDomainFree(domain);
  virConnectClose(connection);
  return 0;
}
