/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of a guest's report, from any agent. */
#pragma once

#include "model/guest.h"

void assert_report(const DmGuest *guest);
