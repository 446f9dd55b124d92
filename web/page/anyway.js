// SPDX-License-Identifier: Apache-2.0
// Plans of what is to go. Two rules come from what the guest told, that a device would stay and that it needs its
// memory, and whoever knows better may try all the same. Which rule it is does not matter here: the server is asked
// whether there would be a plan then.

import { get, query } from './api.js';
import { checkbox } from './change_fields.js';
import { planOf } from './model.js';

export const anywayFlags = (anyway) => (anyway ? { try_unmovable: 'true', force: 'true' } : {});

// The error of a plan that there would be has anyway set.
export async function planFor(vmId, parameters, anyway, signal) {
  const made = (flags) => get(`vms/${vmId}/memoryplan?${query({ ...parameters, ...flags })}`, { signal });
  try {
    return planOf(await made(anywayFlags(anyway)));
  } catch (error) {
    if (error.status === 409 && !anyway) {
      error.anyway = await made(anywayFlags(true)).then(
        () => true,
        () => false,
      );
    }
    throw error;
  }
}

export const anywayChoice = (anyway, take) =>
  checkbox('anyway', 'Try all the same: the guest may refuse, swap, or end programs', anyway, take);
