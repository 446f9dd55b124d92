/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves memory between the NUMA cells and memory devices of a persistent configuration. Sizes are bytes. Not for other
 * layers.
 */
#pragma once

#include "model/config.h"

/* The granularity of a cell's memory: libvirt's rounding, and whole huge pages if backed by them. */
uint64_t layout_step(const DmConfig *config, guint i);

/* The cell with the smallest step, which takes what others cannot: sizes of pages are powers of two. */
guint layout_finest(const DmConfig *config);

uint64_t *layout_cell(DmConfig *config, guint i);

/* Boot memory and the full size of each device: what must fit below the maximum. */
uint64_t layout_taken(const DmConfig *config);

/* What is left below the maximum. UINT64_MAX without one. */
uint64_t layout_room(const DmConfig *config);

/* What the cell, or all of them, can give, if each keeps a step. */
uint64_t layout_cell_spare(DmConfig *config, guint i);
uint64_t layout_spare(DmConfig *config);

/* Lowers the largest cells to one level until @less is gone; each keeps at least one step. What is left of it. */
uint64_t layout_take_from_cells(DmConfig *config, uint64_t less);

/* To each cell in proportion to what it has, in whole steps; the finest takes the rest. */
void layout_spread(DmConfig *config, uint64_t more);

/* Releases @release of @device: a DIMM whole, a virtio-mem device in blocks. */
void layout_release(DmConfig *config, DmMemoryDevice *device, uint64_t release);

/* What the devices of a node count for. */
uint64_t layout_held(const DmConfig *config, guint node);

/* Takes as much of @less from the devices of @node (-1: all) as dm_plan_unplug() chooses; returns the rest. */
uint64_t layout_take_from_devices(DmConfig *config, int node, uint64_t less);

/* Last resort: drops the smallest DIMM of @node (-1: any) larger than @less; its boot memory gets the difference. */
uint64_t layout_trade_dimm(DmConfig *config, int node, uint64_t less);

/* Grows or shrinks existing virtio-mem devices of @node (-1: all); returns the rest. */
uint64_t layout_grow_virtio(DmConfig *config, int node, uint64_t more);
uint64_t layout_shrink_virtio(DmConfig *config, int node, uint64_t less);
