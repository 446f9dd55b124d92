/* SPDX-License-Identifier: Apache-2.0 */
/* An administrator edits the users file, with whatever editor. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "fuzz.h"
#include "users_private.h"

static DmUsers *read_bytes(const uint8_t *data, size_t size, GError **error) {
  int fd = memfd_create("users", MFD_CLOEXEC);
  g_assert(fd >= 0 && fchmod(fd, 0600) == 0);
  g_assert(write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
  DmUsers *users = users_read(fd, "/etc/dimmer/users", error);
  close(fd);
  return users;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmUsers) users = read_bytes(data, size, &error);
  g_assert((users == NULL) == (error != NULL));
  if (users == NULL) {
    g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
    g_assert(strstr(error->message, "/etc/dimmer/users") != NULL);
    return 0;
  }
  const GPtrArray *list = dm_users_list(users);
  for (guint i = 0; i < list->len; i++) {
    const DmUser *user = list->pdata[i];
    guint line = 0;
    g_assert(users_name_problem(user->name) == NULL);
    g_assert(dm_users_find(users, user->name) == user);
    g_assert(strpbrk(user->hash, ": \t\r\n") == NULL && strchr("$!*", user->hash[0]) != NULL);
    g_assert(users_line_of(users, user->name, &line) && line < users->lines->len);
  }
  g_assert(dm_users_find(users, "") == NULL);
  return 0;
}
