/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload: it writes to the file LONE_LOG each two calls that are under way at once on one libvirt
 * connection, which src/hypervisor/connection.c says must not be, and to the file LONE_CALLS the name of each call.
 *
 * Without libvirt's header, as one prototype does for all functions: each takes up to six words, and returns one.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef long Call(void *object, long a, long b, long c, long d, long e, long f);

void *virDomainGetConnect(void *domain);

#define MOST 256

/* Streams do not tell their connection. */
static struct { const void *stream, *virt; } streams[MOST];

static struct {
  const void *virt; /* NULL: free */
  const char *name;
} under_way[MOST];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void append(const char *variable, const char *text) {
  const char *path = getenv(variable);
  int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
  if (fd < 0)
    return;
  if (write(fd, text, strlen(text)) < 0)
    abort();
  close(fd);
}

/* The place of the call in under_way. */
static int begin(const char *name, const void *virt) {
  int place = -1;
  char line[128];
  snprintf(line, sizeof line, "%s\n", name);
  append("LONE_CALLS", line);
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MOST; i++) {
    if (under_way[i].virt == virt) {
      snprintf(line, sizeof line, "%s beside %s\n", name, under_way[i].name);
      append("LONE_LOG", line);
    }
    if (place < 0 && under_way[i].virt == NULL)
      place = i;
  }
  if (place < 0)
    abort();
  under_way[place].virt = virt;
  under_way[place].name = name;
  pthread_mutex_unlock(&mutex);
  return place;
}

static void end(int place) {
  pthread_mutex_lock(&mutex);
  under_way[place].virt = NULL;
  pthread_mutex_unlock(&mutex);
}

static const void *stream_virt(const void *stream) {
  const void *virt = NULL;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MOST && virt == NULL; i++)
    virt = streams[i].stream == stream ? streams[i].virt : NULL;
  pthread_mutex_unlock(&mutex);
  return virt;
}

#define WRAP(name, virt)                                                    \
  Call name;                                                                \
  long name(void *object, long a, long b, long c, long d, long e, long f) { \
    Call *real = (Call *)dlsym(RTLD_NEXT, #name);                           \
    int place = begin(#name, virt);                                         \
    long answer = real(object, a, b, c, d, e, f);                           \
    end(place);                                                             \
    return answer;                                                          \
  }

#define OF_HOST(name) WRAP(name, object)
#define OF_VM(name) WRAP(name, virDomainGetConnect(object))
#define OF_STREAM(name) WRAP(name, stream_virt(object))

OF_HOST(virConnectClose)
OF_HOST(virConnectDomainEventDeregisterAny)
OF_HOST(virConnectDomainEventRegisterAny)
OF_HOST(virConnectDomainXMLToNative)
OF_HOST(virConnectGetAllDomainStats)
OF_HOST(virConnectGetCapabilities)
OF_HOST(virConnectGetHostname)
OF_HOST(virConnectGetLibVersion)
OF_HOST(virConnectListAllDomains)
OF_HOST(virConnectRegisterCloseCallback)
OF_HOST(virConnectUnregisterCloseCallback)
OF_HOST(virDomainCreateXML)
OF_HOST(virDomainDefineXML)
OF_HOST(virDomainLookupByName)
OF_HOST(virDomainLookupByUUIDString)
OF_HOST(virNodeGetFreePages)
OF_HOST(virNodeGetInfo)
OF_HOST(virNodeGetMemoryStats)

OF_VM(virDomainAttachDeviceFlags)
OF_VM(virDomainCreate)
OF_VM(virDomainDestroy)
OF_VM(virDomainDetachDeviceAlias)
OF_VM(virDomainGetJobStats)
OF_VM(virDomainGetState)
OF_VM(virDomainGetXMLDesc)
OF_VM(virDomainHasManagedSaveImage)
OF_VM(virDomainIsPersistent)
OF_VM(virDomainManagedSaveGetXMLDesc)
OF_VM(virDomainMemoryStats)
OF_VM(virDomainOpenChannel)
OF_VM(virDomainPMWakeup)
OF_VM(virDomainQemuAgentCommand)
OF_VM(virDomainReboot)
OF_VM(virDomainResume)
OF_VM(virDomainSetLifecycleAction)
OF_VM(virDomainSetMemoryFlags)
OF_VM(virDomainSetMemoryStatsPeriod)
OF_VM(virDomainSetMetadata)
OF_VM(virDomainShutdown)
OF_VM(virDomainUpdateDeviceFlags)

OF_STREAM(virStreamAbort)
OF_STREAM(virStreamSend)

typedef void *Make(void *virt, unsigned int flags);

Make virStreamNew;
void *virStreamNew(void *virt, unsigned int flags) {
  Make *real = (Make *)dlsym(RTLD_NEXT, "virStreamNew");
  void *stream = real(virt, flags);
  pthread_mutex_lock(&mutex);
  int place = 0;
  while (place < MOST && streams[place].stream != NULL && streams[place].stream != stream)
    place++;
  if (place == MOST)
    abort();
  streams[place].stream = stream;
  streams[place].virt = virt;
  pthread_mutex_unlock(&mutex);
  return stream;
}
