/* SPDX-License-Identifier: Apache-2.0 */
#include <crypt.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "users_private.h"

/* yescrypt with libcrypt's default cost, as passwd(1) of Debian, Fedora and others. */
#define METHOD "$y$"

/* crypt(3) counts the terminating zero in its limit. */
#define MOST_PASSWORD (CRYPT_MAX_PASSPHRASE_SIZE - 1)

/* The hash, or NULL with errno: invalid setting or password. */
static char *hash_with(const char *password, const char *setting) {
  struct crypt_data *data = g_new0(struct crypt_data, 1);
  errno = 0;
  char *hash = g_strdup(crypt_rn(password, setting, data, sizeof *data));
  int failed = errno;
  explicit_bzero(data, sizeof *data);
  g_free(data);
  errno = failed;
  return hash;
}

char *users_hash(const char *name, const char *password, GError **error) {
  gsize length = strlen(password);
  const char *problem = NULL;
  if (length == 0)
    problem = "the password is empty; give one";
  else if (length > MOST_PASSWORD)
    problem = "the password is longer than 511 bytes; give a shorter one";
  else if (!g_utf8_validate(password, -1, NULL))
    problem = "the password is not UTF-8; give one that is";
  if (problem != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "wrong password for the user %s: %s", name, problem);
    return NULL;
  }
  g_autofree char *setting = crypt_gensalt_ra(METHOD, 0, NULL, 0);
  char *hash = setting != NULL ? hash_with(password, setting) : NULL;
  if (hash == NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot hash the password of the user %s: libcrypt: %s", name,
      g_strerror(errno));
  return hash;
}

/* The setting to hash a password of an unknown user: any salt, and the cost of a real one. */
static const char *setting_of_no_user(void) {
  static char *setting;
  if (g_once_init_enter(&setting))
    g_once_init_leave(&setting, crypt_gensalt_ra(METHOD, 0, "0123456789abcdef", 16));
  return setting;
}

/* Compares in constant time. */
static gboolean same_hash(const char *a, const char *b) {
  gsize length = strlen(a);
  if (length != strlen(b))
    return FALSE;
  volatile guint8 different = 0;
  for (gsize i = 0; i < length; i++)
    different |= (guint8)(a[i] ^ b[i]);
  return different == 0;
}

gboolean dm_users_verify(const char *hash, const char *password) {
  g_autofree char *made = hash != NULL ? hash_with(password, hash) : NULL;
  if (made != NULL)
    return same_hash(made, hash);
  /* Unknown or locked ("!") user: libcrypt would fail at once, which could be measured. */
  g_free(hash_with(password, setting_of_no_user()));
  return FALSE;
}
