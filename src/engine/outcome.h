/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of a request. Pure. Not for other layers. */
#pragma once

#include "engine/change.h"

/* @plan was carried out as in @request; NULL: nothing to request. */
DmOutcome outcome_of(const DmPlan *plan, const DmRequest *request);
