/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each step is done or printed; see step_*(). A step whose work is already done does nothing. The first failure ends
 * the installation: a service without its program would be restarted forever.
 */
#include "install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inittab.h"
#include "install_files.h"
#include "online.h"
#include "port.h"
#include "system.h"

#define OWN "/proc/self/exe"
#define PLACE "/usr/local/sbin"
#define PROGRAM PLACE "/dimmer-guest"
#define RULES "/etc/udev/rules.d"
#define RULE RULES "/39-dimmer-memory.rules"
#define UNIT "/etc/systemd/system/dimmer-guest.service"
#define OPENRC "/etc/init.d/dimmer-guest"
#define INITTAB "/etc/inittab"
#define POLICY "/sys/devices/system/memory/auto_online_blocks"

typedef struct {
  bool print;
  bool changed;       /* something was written, so that services must reload it */
  char own[4096];     /* the running program */
  const char *folder; /* its destination */
  const char *port;
  char options[96]; /* arguments from the service, each after a blank */
} Install;

static bool write_all(int file, const char *words, size_t length) {
  while (length > 0) {
    ssize_t count = write(file, words, length);
    if (count <= 0)
      return false;
    words += count;
    length -= (size_t)count;
  }
  return true;
}

/* A reader may stop early. */
static void put_words(const char *words) {
  write_all(STDOUT_FILENO, words, strlen(words));
}

/* Quoted as one word for a shell. */
static void put_quoted(const char *words) {
  put_words("'");
  for (const char *quote; (quote = strchr(words, '\'')) != NULL; words = quote + 1) {
    write_all(STDOUT_FILENO, words, (size_t)(quote - words));
    put_words("'\\''");
  }
  put_words(words);
  put_words("'");
}

/* False, after reporting it with errno. */
static bool fail(const char *what, const char *path) {
  say("cannot ", what, " ", path, ": ", strerror(errno), NULL);
  return false;
}

/* Placeholders in the files for packagers, replaced here. */
static bool take_mark(const char **template, const char *mark) {
  size_t length = strlen(mark);
  bool is_here = strncmp(*template, mark, length) == 0;
  *template += is_here ? length : 0;
  return is_here;
}

/* @template with placeholders replaced; the files are shorter than @text. */
static void fill_in(const Install *install, const char *template, Text *text) {
  while (*template != '\0') {
    if (take_mark(&template, "@SBINDIR@"))
      text_add(text, install->folder);
    else if (take_mark(&template, "@OPTIONS@"))
      text_add(text, install->options);
    else
      text_add_bytes(text, template ++, 1);
  }
}

/* As close(2), but preserves errno. */
static void close_quietly(int file) {
  int error = errno;
  if (file >= 0)
    close(file);
  errno = error;
}

/* A file is written under a temporary name and renamed when complete: @file is open and was written @well. */
static bool put_in_place(int file, const char *beside, const char *path, mode_t mode, bool well) {
  well = well && fchmod(file, mode) == 0 && fsync(file) == 0 && system_rename(beside, path);
  close_quietly(file);
  if (!well)
    system_remove(beside);
  return well;
}

static bool write_whole(const char *path, mode_t mode, const char *words, size_t length) {
  char beside[256];
  Text text = TEXT_IN(beside);
  text_add(&text, path);
  text_add(&text, ".new");
  int file = system_open(beside, O_WRONLY | O_CREAT | O_TRUNC);
  return file >= 0 && put_in_place(file, beside, path, mode, write_all(file, words, length));
}

static bool has_content(const char *path, const char *words) {
  char space[4096];
  size_t length = strlen(words);
  int file = system_open(path, O_RDONLY);
  if (file < 0)
    return false;
  ssize_t count = read(file, space, sizeof(space));
  close(file);
  return count == (ssize_t)length && memcmp(space, words, length) == 0;
}

static bool step_file(Install *install, const char *path, mode_t mode, const char *template) {
  char space[4096];
  Text text = TEXT_IN(space);
  fill_in(install, template, &text);
  if (has_content(path, space))
    return true;
  install->changed = true;
  if (install->print) {
    put_words("cat >");
    put_words(path);
    put_words(" <<'EOF'\n");
    put_words(space);
    put_words("EOF\n");
    if (mode != 0644) {
      put_words("chmod 755 ");
      put_words(path);
      put_words("\n");
    }
    return true;
  }
  return write_whole(path, mode, space, text.used) || fail("write", path);
}

/* Runs a command, words terminated by NULL. With another root there are no services to command. */
static bool step_run(const Install *install, const char *const *words) {
  char line[128];
  Text text = TEXT_IN(line);
  int status = 0;
  for (const char *const *word = words; *word != NULL; word++) {
    text_add(&text, word == words ? "" : " ");
    text_add(&text, *word);
  }
  if (install->print) {
    put_words(line);
    put_words("\n");
    return true;
  }
  if (!system_root_is_real())
    return true;
  pid_t child = fork();
  if (child == 0) {
    execvp(words[0], (char *const *)words);
    _exit(127);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    say("failed: ", line, NULL);
    return false;
  }
  return true;
}

#define RUN(install, ...) step_run(install, (const char *const[]){__VA_ARGS__, NULL})

static bool copy(int from, int to) {
  char space[4096];
  ssize_t count;
  while ((count = read(from, space, sizeof(space))) > 0) {
    if (!write_all(to, space, (size_t)count))
      return false;
  }
  return count == 0;
}

static bool same_content(int one, int other) {
  char space[4096], space_of_other[4096];
  ssize_t count;
  while ((count = read(one, space, sizeof(space))) > 0) {
    if (read(other, space_of_other, (size_t)count) != count || memcmp(space, space_of_other, (size_t)count) != 0)
      return false;
  }
  return count == 0 && read(other, space_of_other, 1) == 0;
}

/* Whether the installed program is the running one. */
static bool is_installed(void) {
  struct stat status;
  int own = open(OWN, O_RDONLY | O_CLOEXEC), there = system_open(PROGRAM, O_RDONLY);
  bool same = own >= 0 && there >= 0 && fstat(there, &status) == 0 && (status.st_mode & 07777) == 0755 &&
    same_content(own, there);
  close_quietly(own);
  close_quietly(there);
  return same;
}

static bool copy_program(void) {
  int from = open(OWN, O_RDONLY | O_CLOEXEC);
  if (from < 0)
    return false;
  int to = system_open(PROGRAM ".new", O_WRONLY | O_CREAT | O_TRUNC);
  bool well = to >= 0 && put_in_place(to, PROGRAM ".new", PROGRAM, 0755, copy(from, to));
  close_quietly(from);
  return well;
}

/* A program from a package, or installed before, stays. */
static bool step_program(Install *install) {
  static const char *const places[] = {PLACE, "/usr/sbin", "/usr/bin", "/usr/local/bin", "/sbin", "/bin"};
  char folder[512];
  Text text = TEXT_IN(folder);
  text_add_bytes(&text, install->own, (size_t)(strrchr(install->own, '/') - install->own));
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    if (strcmp(folder, places[i]) == 0) {
      install->folder = places[i];
      return true;
    }
  }
  install->folder = PLACE;
  if (is_installed()) {
    say("left " PROGRAM ": it is this program already", NULL);
    return true;
  }
  bool replaces = system_exists(PROGRAM);
  install->changed = true;
  if (install->print) {
    put_words(replaces ? "# in place of another dimmer-guest\n" : "");
    put_words("install -D -m 755 ");
    put_quoted(install->own);
    put_words(" " PROGRAM "\n");
    return true;
  }
  if (!system_mkdirs(PLACE) || !copy_program())
    return fail("write", PROGRAM);
  if (replaces)
    say("replaced another " PROGRAM, NULL);
  return true;
}

/* udevd, if running, notices new rules itself: a failed reload is no error. */
static bool step_rule(Install *install) {
  if (!system_exists(RULES)) {
    if (!system_exists("/usr/lib/udev") && !system_exists("/lib/udev"))
      return true;
    if (install->print)
      put_words("mkdir -p " RULES "\n");
    else if (!system_mkdirs(RULES))
      return fail("make", RULES);
  }
  bool before = install->changed;
  install->changed = false;
  bool well = step_file(install, RULE, 0644, INSTALL_RULE);
  if (well && install->changed && install->print)
    put_words("udevadm control --reload || true\n");
  else if (well && install->changed)
    RUN(install, "udevadm", "control", "--reload");
  install->changed |= before;
  return well;
}

/* Its length, or -1. */
static ssize_t read_inittab(char *space, size_t size) {
  int file = system_open(INITTAB, O_RDONLY);
  if (file < 0)
    return -1;
  ssize_t count = read(file, space, size);
  close_quietly(file);
  if (count < (ssize_t)size)
    return count;
  errno = EFBIG; /* there may be more */
  return -1;
}

static bool append_to_inittab(const char *words, size_t length) {
  int file = system_open(INITTAB, O_WRONLY | O_APPEND);
  bool well = file >= 0 && write_all(file, words, length);
  close_quietly(file);
  return well;
}

static bool step_inittab(Install *install) {
  char space[16384], line[700];
  ssize_t count = read_inittab(space, sizeof(space));
  if (count < 0)
    return fail("read", INITTAB);
  space[count] = '\0';
  size_t cut = count > 0 && space[count - 1] != '\n'; /* its last line, to which ours must not be appended */
  Inittab inittab = inittab_read(space, install->port);
  if (inittab.starts)
    return true;
  Text text = TEXT_IN(line);
  text_add(&text, cut ? "\n" : "");
  text_add(&text, inittab.sysvinit ? "dg:2345:respawn:" : "::respawn:");
  text_add(&text, install->folder);
  text_add(&text, "/dimmer-guest");
  text_add(&text, install->options);
  if (inittab.otherwise) {
    say(INITTAB " has dimmer-guest, but not as '", line + cut, "': change that line", NULL);
    return false;
  }
  if (install->print) {
    put_words(cut ? "echo >>" INITTAB "\necho '" : "echo '");
    put_words(line + cut);
    put_words("' >>" INITTAB "\n");
  } else {
    text_add(&text, "\n");
    if (!append_to_inittab(line, text.used))
      return fail("write to", INITTAB);
  }
  return RUN(install, "kill", "-HUP", "1");
}

static bool step_unit(Install *install) {
  if (install->options[0] == '\0' &&
    (system_exists("/usr/lib/systemd/system/dimmer-guest.service") ||
      system_exists("/lib/systemd/system/dimmer-guest.service")))
    return true; /* the package's own does */
  return step_file(install, UNIT, 0644, INSTALL_UNIT);
}

static bool step_service(Install *install) {
  if (system_exists("/run/systemd/system"))
    return step_unit(install) && RUN(install, "systemctl", "daemon-reload") &&
      RUN(install, "systemctl", "enable", "dimmer-guest.service") &&
      RUN(install, "systemctl", install->changed ? "restart" : "start", "dimmer-guest.service");
  if (system_exists("/sbin/openrc-run"))
    return step_file(install, OPENRC, 0755, INSTALL_OPENRC) &&
      RUN(install, "rc-update", "add", "dimmer-guest", "default") &&
      RUN(install, "rc-service", "dimmer-guest", install->changed ? "restart" : "start");
  if (system_exists(INITTAB))
    return step_inittab(install);
  say("no service manager is known here: let dimmer-guest be started at boot", NULL);
  return true;
}

/* The agent sets it too, and reports if it cannot. */
static bool step_policy(const Install *install) {
  char words[32];
  if (!online_policy(words, sizeof(words)) || strcmp(words, BLOCKS_MOVABLE) == 0)
    return true;
  if (install->print)
    put_words("echo " BLOCKS_MOVABLE " >" POLICY " || echo offline >" POLICY " || true\n");
  else
    online_set_policy();
  return true;
}

bool install_can_name(const char *port) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t length = strlen(port);
  return length > 0 && length <= 64 && strspn(port, plain) == length;
}

bool install(bool print, const char *port) {
  static Install steps;
  Text options = TEXT_IN(steps.options);
  steps.print = print;
  steps.port = port;
  if (strcmp(port, PORT_NAME) != 0) {
    text_add(&options, " --port=");
    text_add(&options, port);
  }
  ssize_t count = readlink(OWN, steps.own, sizeof(steps.own) - 1);
  if (count <= 0)
    return fail("read", OWN);
  if (print)
    put_words("#!/bin/sh\nset -e\numask 022\n");
  return step_program(&steps) && step_rule(&steps) && step_policy(&steps) && step_service(&steps);
}
