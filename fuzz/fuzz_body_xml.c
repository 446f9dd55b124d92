/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_body(data, size, DM_FORMAT_XML);
  return 0;
}
