/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of a picture, whoever told it. */
#pragma once

#include "model/guest.h"

void assert_told(const DmGuest *guest);
