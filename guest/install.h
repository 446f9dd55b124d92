/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * Sets the machine up as far as it lacks something: the program below /usr/local/sbin, the udev rule, the service of
 * what manages services here, the kernel's policy. With @print it changes nothing and prints a shell script that does
 * the same. False, and told, if something failed. @port: the one that the service has to serve on, a name that
 * install_can_name() takes.
 */
bool install(bool print, const char *port);

/* Whether the files of all service managers can have that name in them as it is. */
bool install_can_name(const char *port);
