/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that are set up to shrink: at every start their cells have the floors, and all above them is memory devices of
 * the persistent definition, which can be unplugged at any time. Not for other layers.
 */
#pragma once

#include "model/config.h"

/* The unit of a device's size: Linux adds memory in whole blocks, which are 2 GiB if it boots with 64 GiB. */
uint64_t floor_unit(const DmConfig *config, guint node);

/*
 * Distributes @wanted bytes over @config, which has floors: the cells get these, one virtio-mem device per node (or
 * DIMMs, by policy `fine`) the rest, in existing devices as far as possible. What is less than a block, or fits no
 * device, is boot memory; below the floors boot memory shrinks as well. FALSE if a cell would be left empty.
 */
gboolean floor_lay_out(DmConfig *config, uint64_t wanted);

/* Why one node cannot give or take what it should, in bytes: */
typedef struct {
  uint64_t missing; /* what of it is beyond its devices, above its floor and below the maximum; */
  uint64_t boot;    /* else what would be boot memory, */
  uint64_t odd;     /* and is more than whole pages by that */
} FloorNode;

/*
 * The same, but the difference between @wanted and what @config has is that node's alone, and each other keeps its sum.
 * The node had @had before its trail. FALSE, with @left written: it cannot, and @config is no longer of use.
 */
gboolean floor_lay_out_node(DmConfig *config, guint node, uint64_t wanted, uint64_t had, FloorNode *left);

/*
 * Gives @config these floors, with devices of @kind above them; none: no longer set up to shrink. Our devices of
 * another kind, or all of them, become boot memory; those of other tools stay. Distribute its memory afterwards.
 */
void floor_set(DmConfig *config, const GArray *floors, DmDeviceKind kind);
