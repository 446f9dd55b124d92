/* SPDX-License-Identifier: Apache-2.0 */
/* What the two targets for bodies promise of any input. */
#pragma once

#include "fuzz.h"
#include "wire/node.h"

void check_body(const uint8_t *data, size_t size, DmFormat format);
