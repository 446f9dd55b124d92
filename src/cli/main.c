/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "config.h"

static const DmVerb verbs[] = {
  {"list", "", "show all VMs with their memory", verb_list, .only_prints = TRUE},
  {"show", "VM", "show the memory of one VM: devices, next run, request in flight", verb_show, .only_prints = TRUE},
  {"set", "VM", "lower or raise memory, guaranteed memory or the maximum", verb_set},
  {"unplug", "VM DEVICE...", "hot unplug these memory devices", verb_unplug},
  {"plug", "VM SIZE", "hot plug memory", verb_plug},
  {"enable", "VM", "set up a VM's next run for hot plug", verb_enable},
  {"doctor", "VM", "show what of a VM's memory can be hot unplugged, what cannot, and why", verb_doctor,
    .only_prints = TRUE},
  {"guest", "prepare VM", "prepare a VM's guest to release hot plugged memory", verb_guest},
  {"hosts", "", "show the memory of the host, and what its VMs could give back", verb_hosts, .only_prints = TRUE},
  {"reclaim", "", "take memory back from several running VMs", verb_reclaim},
  {"settle", "VM", "finish a request that was interrupted or is overdue", verb_settle},
};

/* Of every verb: they may precede it. */
static const char *const options_with_value[] = {"-c", "--connect", "-o", "--output", NULL};

static const DmVerb *verb_find(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
    if (strcmp(verbs[i].name, name) == 0)
      return &verbs[i];
  }
  return NULL;
}

static void print_help(FILE *out) {
  fputs(
    "Usage:\n  dimmer VERB [OPTION...] [ARGUMENT...]\n\n"
    "Resizes the memory of running virtual machines, and reports what the guest really released.\n\n"
    "Verbs:\n",
    out);
  for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
    g_autofree char *usage = g_strjoin(" ", verbs[i].name, verbs[i].arguments, NULL);
    fprintf(out, "  %-22s%s\n", usage, verbs[i].summary);
  }
  fputs(
    "\nOptions of every verb:\n"
    "  -c, --connect=URI     the libvirt connection; libvirt's own default without it\n"
    "  -o, --output=FORMAT   text (default) or json\n"
    "      --debug           show each libvirt call, event, phase and agent's line\n"
    "  -h, --help            the help of the verb\n"
    "\nOptions:\n"
    "  -h, --help            this help\n"
    "  --version             the version\n"
    "\nSizes are like 1400MiB, 1.5GiB, 256M or plain bytes. 'dimmer VERB --help' has each\n"
    "verb's options; dimmer(1) has the rules, the exit statuses and examples.\n",
    out);
}

/*
 * Options may precede the verb, as in virsh: returns the verb's index, argc if there is none.
 */
static int find_verb_index(int argc, char **argv) {
  int i = 1;
  while (i < argc && argv[i][0] == '-')
    i += g_strv_contains(options_with_value, argv[i]) ? 2 : 1;
  return MIN(i, argc);
}

static gboolean has_argument(char **argv, const char *letter, const char *name) {
  return (letter != NULL && g_strv_contains((const char *const *)argv, letter)) ||
    g_strv_contains((const char *const *)argv, name);
}

/* Moves the verb first, and the options before it behind it. */
static void move_verb_to_front(char **argv, int index) {
  char *verb = argv[index];
  for (int i = index; i > 1; i--)
    argv[i] = argv[i - 1];
  argv[1] = verb;
}

/* Only --connect, --output and --debug may precede a verb. */
static gboolean options_are_common(int argc, char **argv) {
  for (int i = 1; i < argc; i += g_strv_contains(options_with_value, argv[i]) ? 2 : 1) {
    gboolean known = strcmp(argv[i], "--debug") == 0;
    for (const char *const *option = options_with_value; *option != NULL; option++)
      known |= g_str_has_prefix(argv[i], *option);
    if (!known)
      return FALSE;
  }
  return TRUE;
}

static int fail_without_verb(int argc, char **argv, int index) {
  const CommonOptions common = {.json = options_want_json(argc, argv)};
  g_autoptr(GError) error = NULL;
  if (index < argc)
    g_set_error(&error, DM_ERROR, DM_ERROR_USAGE, "there is no verb '%s'; 'dimmer --help' lists them", argv[index]);
  else if (g_strv_contains(options_with_value, argv[argc - 1]))
    g_set_error(&error, DM_ERROR, DM_ERROR_USAGE,
      "%s needs a value, and the verb is missing; 'dimmer --help' lists them", argv[argc - 1]);
  else if (argv[1][0] == '-' && !options_are_common(argc, argv))
    g_set_error(
      &error, DM_ERROR, DM_ERROR_USAGE, "'%s' is not an option of dimmer itself; put the verb first", argv[1]);
  else
    g_set_error(&error, DM_ERROR, DM_ERROR_USAGE, "the verb is missing; 'dimmer --help' lists them");
  return options_fail(&common, error);
}

static int run_help(int argc, char **argv) {
  const DmVerb *verb = argc > 2 ? verb_find(argv[2]) : NULL;
  if (verb != NULL)
    return verb->run(verb, 2, (char *[]){argv[2], (char *)"--help", NULL});
  if (argc > 2 && argv[2][0] != '-')
    return fail_without_verb(argc, argv, 2);
  print_help(stdout);
  return DM_EXIT_DONE;
}

static gboolean stdout_is_open;

/* Whether standard output was open. If a standard stream is closed, the next socket would get its descriptor, and our
 * output would go there. */
static gboolean open_standard_streams(void) {
  gboolean printable = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
  int fd;
  do
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    close(fd);
  return printable;
}

/* Reports output errors; they are a failure if printing was the only task. */
static int finish(int status, gboolean only_prints) {
  if (stdout_is_open && fflush(stdout) == 0 && !ferror(stdout))
    return status;
  fprintf(stderr, "dimmer: cannot write to standard output: %s\n", g_strerror(stdout_is_open ? errno : EBADF));
  return only_prints && status == DM_EXIT_DONE ? DM_EXIT_FAILED : status;
}

int main(int argc, char **argv) {
  stdout_is_open = open_standard_streams();
  setlocale(LC_ALL, "");
  g_set_prgname("dimmer");
  if (argc < 2) {
    print_help(stderr);
    return DM_EXIT_USAGE;
  }
  if (strcmp(argv[1], "help") == 0)
    return run_help(argc, argv);
  int index = find_verb_index(argc, argv);
  const DmVerb *verb = index < argc ? verb_find(argv[index]) : NULL;
  if (index == argc && has_argument(argv, "-h", "--help")) {
    print_help(stdout);
    return finish(DM_EXIT_DONE, TRUE);
  }
  if (index == argc && has_argument(argv, NULL, "--version")) {
    puts("dimmer " DM_VERSION);
    return finish(DM_EXIT_DONE, TRUE);
  }
  if (verb == NULL)
    return fail_without_verb(argc, argv, index);
  move_verb_to_front(argv, index);
  if (debug_is_wanted())
    debug_start();
  dm_hypervisor_start();
  int status = verb->run(verb, argc - 1, argv + 1);
  gboolean ended = dm_hypervisor_end();
  status = finish(status, verb->only_prints);
  if (!ended)
    _exit(status);
  return status;
}
