/* SPDX-License-Identifier: Apache-2.0 */
#include "words/host_failure.h"

#include <string.h>

static const struct {
  DmHostLack lack;
  const char *says, *also, *means;
} failures[] = {
#define HOST_FAILURE(lack, says, also, means) {DM_LACKS_##lack, says, also, means},
#include "words/host_failures.def"
#undef HOST_FAILURE
};

const char *dm_host_failure(const char *message, DmHostLack *lack) {
  *lack = DM_LACKS_UNKNOWN;
  for (gsize i = 0; i < G_N_ELEMENTS(failures); i++) {
    if (strstr(message, failures[i].says) == NULL || strstr(message, failures[i].also) == NULL)
      continue;
    *lack = failures[i].lack;
    return failures[i].means;
  }
  return NULL;
}
