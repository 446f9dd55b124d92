/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "config.h"

static const DmVerb verbs[] = {
  {"list", "", "show all VMs with their memory", verb_list},
  {"show", "VM", "show the memory of one VM: devices, next run, request in flight", verb_show},
  {"set", "VM", "lower or raise memory, guaranteed memory or the maximum", verb_set},
  {"unplug", "VM DEVICE...", "hot unplug these memory devices", verb_unplug},
  {"plug", "VM SIZE", "hot plug memory", verb_plug},
  {"enable", "VM", "prepare a VM's next run for hot plug", verb_enable},
  {"settle", "VM", "finish a request that was interrupted or is overdue", verb_settle},
};

const DmVerb *verb_find(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
    if (strcmp(verbs[i].name, name) == 0)
      return &verbs[i];
  }
  return NULL;
}

static void print_help(FILE *out) {
  fputs(
    "Usage:\n  dimmer VERB [OPTION...] [ARGUMENT...]\n\n"
    "Changes the memory of running virtual machines, downward above all, and tells what really happened.\n\n"
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
    "  -h, --help            the help of the verb\n"
    "\nOptions:\n"
    "  -h, --help            this help\n"
    "  --version             the version\n"
    "\nSizes are like 1400MiB, 1.5GiB, 256M or plain bytes. 'dimmer VERB --help' has each verb's options; the manual "
    "page\ndimmer(1) has the rules, the exit statuses and examples.\n",
    out);
}

/*
 * Options may stand before the verb as well, as virsh's users write them: returns where the verb stands, argc if there
 * is none.
 */
static int find_verb_index(int argc, char **argv) {
  static const char *const with_value[] = {"-c", "--connect", "-o", "--output", NULL};
  int i = 1;
  while (i < argc && argv[i][0] == '-')
    i += g_strv_contains(with_value, argv[i]) ? 2 : 1;
  return MIN(i, argc);
}

/* The verb comes first, the options that stood before it behind it. */
static void move_verb_to_front(char **argv, int index) {
  char *verb = argv[index];
  for (int i = index; i > 1; i--)
    argv[i] = argv[i - 1];
  argv[1] = verb;
}

int main(int argc, char **argv) {
  setlocale(LC_ALL, "");
  g_set_prgname("dimmer");
  if (argc < 2) {
    print_help(stderr);
    return DM_EXIT_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    const DmVerb *verb = argc > 2 ? verb_find(argv[2]) : NULL;
    if (verb != NULL)
      return verb->run(2, (char *[]){argv[2], (char *)"--help", NULL});
    print_help(stdout);
    return DM_EXIT_DONE;
  }
  if (strcmp(argv[1], "--version") == 0) {
    puts("dimmer " DM_VERSION);
    return DM_EXIT_DONE;
  }
  int index = find_verb_index(argc, argv);
  const DmVerb *verb = index < argc ? verb_find(argv[index]) : NULL;
  if (verb == NULL) {
    if (index < argc)
      fprintf(stderr, "dimmer: there is no verb '%s'; 'dimmer --help' lists them\n", argv[index]);
    else
      fputs("dimmer: the verb is missing; 'dimmer --help' lists them\n", stderr);
    return DM_EXIT_USAGE;
  }
  move_verb_to_front(argv, index);
  dm_hypervisor_start();
  return verb->run(argc - 1, argv + 1);
}
