/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload into dimmer: it counts the libvirt calls that change something, and at the Nth one does what the
 * test wants, so that a test can stand between any two steps of a request without a hook in dimmer itself.
 *
 *   INTERPOSE_AT=N         which call, from 1; without it, calls are only logged
 *   INTERPOSE_DO=kill      SIGKILL to this process right after the call
 *   INTERPOSE_DO=stop      SIGSTOP right after the call; the test acts, and sends SIGCONT
 *   INTERPOSE_DO=before    SIGSTOP right before it
 *   INTERPOSE_DO=fail      the call is made with arguments that libvirt refuses
 *   INTERPOSE_DO=late      it is made, and then fails: as where libvirt cannot write its file, and keeps it in memory
 *   INTERPOSE_LOG=FILE     the name of each counted call is appended
 *   INTERPOSE_CHANGES=FILE the name of each changing call is appended, of those too that are not counted
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

static void log_call(const char *variable, const char *name) {
  const char *path = getenv(variable);
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
  log_call("INTERPOSE_LOG", name);
  log_call("INTERPOSE_CHANGES", name);
  pthread_mutex_unlock(&mutex);
  if (is_turn(call, "before"))
    kill(getpid(), SIGSTOP);
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
    if (is_turn(call, "late"))                                   \
      return real spoilt;                                        \
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
WRAP(int, virDomainSetMemoryFlags, (virDomainPtr domain, unsigned long memory, unsigned int flags),
  (domain, memory, flags), (domain, memory, NO_SUCH_FLAG))
WRAP(int, virDomainCreate, (virDomainPtr domain), (domain), (NULL))

/* A function that is logged only: tests that count calls know nothing of it. */
#define WATCH(type, name, parameters, arguments)                 \
  type name parameters {                                         \
    typeof(&name) real = (typeof(&name))dlsym(RTLD_NEXT, #name); \
    pthread_mutex_lock(&mutex);                                  \
    log_call("INTERPOSE_CHANGES", #name);                        \
    pthread_mutex_unlock(&mutex);                                \
    return real arguments;                                       \
  }

WATCH(virDomainPtr, virDomainCreateXML, (virConnectPtr conn, const char *xml, unsigned int flags), (conn, xml, flags))
WATCH(int, virDomainDestroy, (virDomainPtr domain), (domain))
WATCH(int, virDomainPMWakeup, (virDomainPtr domain, unsigned int flags), (domain, flags))
WATCH(int, virDomainReboot, (virDomainPtr domain, unsigned int flags), (domain, flags))
WATCH(int, virDomainResume, (virDomainPtr domain), (domain))
WATCH(int, virDomainSetLifecycleAction,
  (virDomainPtr domain, unsigned int type, unsigned int action, unsigned int flags), (domain, type, action, flags))
WATCH(
  int, virDomainSetMemoryStatsPeriod, (virDomainPtr domain, int period, unsigned int flags), (domain, period, flags))
WATCH(int, virDomainShutdown, (virDomainPtr domain), (domain))
