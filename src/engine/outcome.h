/* SPDX-License-Identifier: Apache-2.0 */
/* What a request came to. Pure. Not for other layers. */
#pragma once

#include "engine/change.h"

/* @plan was carried out as @request tells. */
DmOutcome outcome_of(const DmPlan *plan, const DmRequest *request);
