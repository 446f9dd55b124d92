/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload into dimmer: it counts the libvirt calls that change something, and at the Nth one does what the
 * test wants, so that a test can stand between any two steps of a request without a hook in dimmer itself.
 *
 *   INTERPOSE_AT=N         which call, from 1; without it, calls are only logged
 *   INTERPOSE_DO=kill      SIGKILL to this process right after the call
 *   INTERPOSE_DO=stop      SIGSTOP right after the call; the test acts, and sends SIGCONT
 *   INTERPOSE_DO=fail      the call is made with arguments that libvirt refuses
 *   INTERPOSE_LOG=FILE     the name of each call is appended
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int calls;

static void log_call(const char *name) {
  const char *path = getenv("INTERPOSE_LOG");
  int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
  if (fd < 0)
    return;
  char line[64];
  size_t length = strlen(name);
  memcpy(line, name, length);
  line[length] = '\n';
  if (write(fd, line, length + 1) < 0)
    abort();
  close(fd);
}

/* Whether this call is the one, and the test wants @what. */
static int is_turn(int call, const char *what) {
  const char *at = getenv("INTERPOSE_AT"), *wanted = getenv("INTERPOSE_DO");
  return at != NULL && wanted != NULL && atoi(at) == call && strcmp(wanted, what) == 0;
}

static int count_call(const char *name) {
  pthread_mutex_lock(&mutex);
  int call = ++calls;
  log_call(name);
  pthread_mutex_unlock(&mutex);
  return call;
}

static void after_call(int call) {
  if (is_turn(call, "kill"))
    kill(getpid(), SIGKILL);
  if (is_turn(call, "stop"))
    kill(getpid(), SIGSTOP);
}

/* Flags that libvirt knows nothing of: the call fails before it does anything. */
#define NO_SUCH_FLAG (1u << 30)

/* A function @name of that @type, which calls libvirt's own by the same name; with @spoilt it fails there. */
#define WRAP(type, name, parameters, arguments, spoilt)          \
  type name parameters {                                         \
    typeof(&name) real = (typeof(&name))dlsym(RTLD_NEXT, #name); \
    int call = count_call(#name);                                \
    if (is_turn(call, "fail"))                                   \
      return real spoilt;                                        \
    type result = real arguments;                                \
    after_call(call);                                            \
    return result;                                               \
  }

WRAP(virDomainPtr, virDomainDefineXML, (virConnectPtr conn, const char *xml), (conn, xml), (conn, "<spoilt/>"))
WRAP(int, virDomainSetMetadata,
  (virDomainPtr domain, int type, const char *metadata, const char *key, const char *uri, unsigned int flags),
  (domain, type, metadata, key, uri, flags), (domain, type, metadata, key, uri, NO_SUCH_FLAG))
WRAP(int, virDomainDetachDeviceAlias, (virDomainPtr domain, const char *alias, unsigned int flags),
  (domain, alias, flags), (domain, alias, NO_SUCH_FLAG))
WRAP(int, virDomainAttachDeviceFlags, (virDomainPtr domain, const char *xml, unsigned int flags), (domain, xml, flags),
  (domain, xml, NO_SUCH_FLAG))
WRAP(int, virDomainUpdateDeviceFlags, (virDomainPtr domain, const char *xml, unsigned int flags), (domain, xml, flags),
  (domain, xml, NO_SUCH_FLAG))
