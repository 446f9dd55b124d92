// SPDX-License-Identifier: Apache-2.0
// Plans of what is to go. Two rules come from what the guest reports, that a device would stay and that it needs its
// memory, and an administrator who knows better may try anyway.

import { get, query } from './api.js';
import { checkbox } from './change_fields.js';
import { planOf } from './model.js';

const fromGuest = ['not-movable', 'guest-needs-memory'];

export const anywayFlags = (anyway) => (anyway ? { try_unmovable: 'true', force: 'true' } : {});

// The error of a plan that such a rule forbids has anyway set.
export async function planFor(vmId, parameters, anyway, signal) {
  try {
    return planOf(await get(`vms/${vmId}/memoryplan?${query({ ...parameters, ...anywayFlags(anyway) })}`, { signal }));
  } catch (error) {
    error.anyway = !anyway && fromGuest.includes(error.code);
    throw error;
  }
}

export const anywayChoice = (anyway, take) =>
  checkbox('anyway', 'Try anyway: the guest may refuse, swap, or kill processes (OOM)', anyway, take);
