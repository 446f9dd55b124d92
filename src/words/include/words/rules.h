/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the rules of a change, as format strings: arrays, so that the compiler checks their arguments. */
#pragma once

#include <glib.h>

#define RULE(code, sentence) static const char DM_RULE_##code[] = sentence;
#define LACK(code, words) static const char DM_LACK_##code[] = words;
#define CURE(code, words) static const char DM_CURE_##code[] = words;
#include "words/rules.def"
#undef RULE
#undef LACK
#undef CURE
