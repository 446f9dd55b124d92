/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-reclaim
 *
 * How long it takes to share out a total among many VMs, half of them with 16 DIMMs, half with a virtio-mem device:
 * what each could give, and the shares. Prints JSON.
 */
#include <jansson.h>

#include "base/size.h"
#include "plan/reclaim.h"

#define SEED 20261123
#define ROUNDS 21

static DmVm *random_vm(GRand *random) {
  DmVm *vm = dm_vm_new();
  gboolean dimms = g_rand_boolean(random);
  uint64_t boot = 4 * DM_GIB;
  vm->name = g_strdup("vm");
  vm->state = DM_VM_RUNNING;
  vm->live = dm_config_new();
  g_array_append_val(vm->live->cells, boot);
  for (int i = 0; i < (dimms ? 16 : 1); i++) {
    DmMemoryDevice *device = dm_memory_device_new(dimms ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM);
    device->alias = g_strdup_printf("device%d", i);
    device->live = TRUE;
    device->block = 2 * DM_MIB;
    device->size = dimms ? (uint64_t)g_rand_int_range(random, 1, 33) * 128 * DM_MIB : 64 * DM_GIB;
    device->requested = device->current = 32 * DM_GIB;
    g_ptr_array_add(vm->live->devices, device);
  }
  DmGuest *guest = dm_guest_new();
  guest->memory_source = DM_SOURCE_AGENT;
  guest->total = dm_config_memory(vm->live);
  guest->available = (uint64_t)(g_rand_double(random) * (double)guest->total);
  dm_vm_take_guest(vm, guest);
  return vm;
}

/* Milliseconds for the offers of all, and for their shares in half of what they have unused. */
static void time_once(const GPtrArray *vms, double *offering, double *sharing) {
  g_autofree DmReclaimOffer **offers = g_new0(DmReclaimOffer *, vms->len);
  g_autofree DmReclaimShare *shares = g_new0(DmReclaimShare, vms->len);
  uint64_t unused = 0;
  gint64 start = g_get_monotonic_time();
  for (guint i = 0; i < vms->len; i++) {
    DmNote *reason;
    offers[i] = dm_reclaim_offer(vms->pdata[i], FALSE, &reason);
    dm_note_free(reason);
    unused += offers[i]->unused;
  }
  gint64 offered = g_get_monotonic_time();
  dm_reclaim_share_out((const DmReclaimOffer *const *)offers, vms->len, unused / 2 / DM_MIB * DM_MIB, shares);
  *offering = (double)(offered - start) / 1000;
  *sharing = (double)(g_get_monotonic_time() - offered) / 1000;
  for (guint i = 0; i < vms->len; i++)
    dm_reclaim_offer_free(offers[i]);
}

static int by_double(gconstpointer a, gconstpointer b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static json_t *time_reclaim(guint count) {
  g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func((GDestroyNotify)dm_vm_free);
  g_autoptr(GArray) offering = g_array_new(FALSE, FALSE, sizeof(double));
  g_autoptr(GArray) sharing = g_array_new(FALSE, FALSE, sizeof(double));
  for (guint i = 0; i < count; i++)
    g_ptr_array_add(vms, random_vm(random));
  for (int i = 0; i < ROUNDS; i++) {
    double offer_ms, share_ms;
    time_once(vms, &offer_ms, &share_ms);
    g_array_append_val(offering, offer_ms);
    g_array_append_val(sharing, share_ms);
  }
  g_array_sort(offering, by_double);
  g_array_sort(sharing, by_double);
  json_t *object = json_object();
  json_object_set_new(object, "vms", json_integer(count));
  json_object_set_new(object, "offers_ms_median", json_real(g_array_index(offering, double, ROUNDS / 2)));
  json_object_set_new(object, "shares_ms_median", json_real(g_array_index(sharing, double, ROUNDS / 2)));
  return object;
}

int main(void) {
  static const guint counts[] = {100, 1000, 10000};
  json_t *array = json_array();
  for (gsize i = 0; i < G_N_ELEMENTS(counts); i++)
    json_array_append_new(array, time_reclaim(counts[i]));
  json_dumpf(array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
  putchar('\n');
  json_decref(array);
  return 0;
}
